"""Whom the upgrade waits for: said while it waits, and given up after a limit.

What takes a lock that writers would queue behind goes through `patiently`, in short tries. All
other waits hold up nobody, but may last: a concurrent index build waits for every transaction that
began before it, a batch for the rows that somebody changed and did not commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from omniledger.database import Connection, Dsn, connect
from omniledger.errors import DatabaseError
from omniledger.settings import get_settings

MIGRATING = "omniledger migrations"
"""The application name of every session that changes the database."""

OWN_SESSION: dict[str, Any] = {"application_name": MIGRATING, "prepare_threshold": None}
"""How a session of the merge connects: each statement is planned for its own rows, since a plan
for any rows walks whole tables, at the cut over while writers wait. (`connect` prepares nothing
either, for poolers; here it would be slow besides.)"""

IN_LINE = "omniledger turn"
"""That of the session that waits for its turn, and holds it."""

SESSION = """
    case
        when {0}.pid is null then 'a prepared transaction'
        else
            coalesce(nullif({0}.application_name, ''), {0}.backend_type, 'an unnamed client')
            || ' (pid ' || {0}.pid || ', ' || coalesce({0}.state, 'at work')
            || coalesce(
                ', since ' || to_char({0}.xact_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')
                || ' UTC', ''
            )
            || ')'
    end
"""
"""How a session of `pg_stat_activity` is called; what we may not see of it is left out."""

# A session that we may not see into has no state and no start, yet a pid and mostly a name.
_BLOCKED = f"""
    select
        w.pid,
        w.query_start,
        string_agg(distinct {SESSION.format("h")}, ', ')
    from pg_stat_activity as w
    cross join lateral unnest(pg_blocking_pids(w.pid)) as b (pid)
    left join pg_stat_activity as h on b.pid = h.pid
    where
        w.datname = current_database()
        and w.application_name = %s
        and h.application_name is distinct from w.application_name
    group by w.pid, w.query_start
"""  # noqa: S608 (no value of anybody's in it)

END_LEFTOVERS = """
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database() and application_name = %s and usename = current_user
"""

_log = logging.getLogger("omniledger.waiting")

_LOOK_SECONDS = 0.5
_TELL_AFTER_SECONDS = 2
_TELL_EVERY_SECONDS = 30


@dataclass
class Waiting:
    """A thread that looks for whom the migration's sessions wait."""

    dsn: Dsn
    _ended: threading.Event = field(default_factory=threading.Event)
    _since: dict[object, float] = field(default_factory=dict)
    _told: dict[object, float] = field(default_factory=dict)
    _sentence: str | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look while the block runs."""
        thread = threading.Thread(target=self._run, name="waiting", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def given_up(self) -> DatabaseError | None:
        """Why a statement was cancelled, if the wait was longer than the patience."""
        return None if self._sentence is None else DatabaseError(self._sentence)

    def _run(self) -> None:
        try:
            with connect(self.dsn, autocommit=True) as connection:
                while not self._ended.wait(_LOOK_SECONDS):
                    self._look(connection)
        except (psycopg.Error, DatabaseError):
            # The server is gone, which the migration itself notices and reports.
            return

    def _look(self, connection: Connection) -> None:
        now = time.monotonic()
        blocked = {
            (pid, started): holders
            for pid, started, holders in connection.execute(_BLOCKED.encode(), (MIGRATING,))
        }
        self._since = {wait: self._since.get(wait, now) for wait in blocked}
        patience = get_settings().lock_patience_seconds
        for wait, holders in blocked.items():
            if now - self._since[wait] > patience:
                self._sentence = (
                    f"The upgrade waited for {holders} for {patience:g} s; "
                    "end those transactions and run the upgrade again, it goes on where it was."
                )
                connection.execute("select pg_cancel_backend(%s)", (wait[0],))
            elif now - self._since[wait] > _TELL_AFTER_SECONDS:
                self._tell(wait, holders, now)

    def _tell(self, wait: object, holders: str, now: float) -> None:
        if now - self._told.get(wait, -_TELL_EVERY_SECONDS) >= _TELL_EVERY_SECONDS:
            self._told[wait] = now
            _log.info("Waiting for %s to end; writers go on.", holders)
