"""Whom a migration waits for: said while it waits, and given up after a limit.

What takes a lock that writers would queue behind goes through `patiently`, in short tries. All
other waits hold up nobody, but may last: a concurrent index build waits for every transaction that
began before it, a batch for the rows that somebody changed and did not commit. A commit that waits
for a synchronous standby is never given up, for a cancelled one is a commit all the same, which
only the server that takes writes has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from omniledger.database import Connection, Dsn, connect
from omniledger.errors import DatabaseError
from omniledger.settings import get_settings

MIGRATING = "omniledger migrations"
"""The application name of every session that changes the database."""

OWN_SESSION = {"application_name": MIGRATING}
"""How such a session connects."""

IN_LINE = "omniledger turn"
"""That of the session that waits for its turn, and holds it."""

SESSION = """
    coalesce(nullif({0}.application_name, ''), {0}.backend_type, 'an unnamed client')
    || ' (pid ' || {0}.pid || ', ' || coalesce({0}.state, 'at work')
    || coalesce(
        ', since ' || to_char({0}.xact_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')
        || ' UTC', ''
    )
    || ')'
"""
"""How a session of `pg_stat_activity` is called; what we may not see of it is left out."""

# It has no pid. Its locks have the virtual transaction that it began with, or after a restart of
# the server another; one of them is on its own id.
PREPARED = """
    select
        l.virtualtransaction,
        x.prepared,
        'the prepared transaction ' || quote_literal(x.gid) || ' (in ' || x.database || ', since '
        || to_char(x.prepared at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')
        || ' UTC; `commit prepared` or `rollback prepared ' || quote_literal(x.gid)
        || '` there ends it)' as told
    from pg_prepared_xacts as x
    inner join pg_locks as l on x.transaction = l.transactionid
    where l.locktype = 'transactionid' and l.granted and l.pid is null
"""
"""How each prepared transaction is called, and by what its locks are known."""

# A session that we may not see into has no state and no start, yet a pid and mostly a name. What is
# prepared blocks as pid 0.
_BLOCKED = f"""
    select
        w.pid,
        w.query_start,
        string_agg(distinct coalesce({SESSION.format("h")}, p.told, 'a transaction'), ', ')
    from pg_stat_activity as w
    cross join lateral unnest(pg_blocking_pids(w.pid)) as b (pid)
    left join pg_stat_activity as h on b.pid = h.pid
    left join lateral (
        select prepared.told
        from pg_locks as wanted
        inner join pg_locks as held
            on
                wanted.locktype = held.locktype
                and (
                    wanted.database, wanted.relation, wanted.page, wanted.tuple,
                    wanted.virtualxid, wanted.transactionid,
                    wanted.classid, wanted.objid, wanted.objsubid
                ) is not distinct from (
                    held.database, held.relation, held.page, held.tuple,
                    held.virtualxid, held.transactionid,
                    held.classid, held.objid, held.objsubid
                )
        inner join ({PREPARED}) as prepared
            on held.virtualtransaction = prepared.virtualtransaction
        where
            b.pid = 0
            and wanted.pid = w.pid
            and not wanted.granted
            and held.granted
            and held.pid is null
    ) as p on true
    where
        w.datname = current_database()
        and w.application_name = %s
        and h.application_name is distinct from w.application_name
    group by w.pid, w.query_start
"""  # noqa: S608 (no value of anybody's in it)

_UNCONFIRMED = """
    select pid, query_start, current_setting('synchronous_standby_names')
    from pg_stat_activity
    where
        datname = current_database()
        and application_name in (%s, %s)
        and wait_event = 'SyncRep'
"""

END_LEFTOVERS = """
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database() and application_name = %s and usename = current_user
"""

_log = logging.getLogger("omniledger.waiting")

_LOOK_SECONDS = 0.5
_TELL_AFTER_SECONDS = 2
_TELL_EVERY_SECONDS = 30

Wait = tuple[int, datetime]
"""A session that waits, by its pid, and when the statement that waits began."""


@dataclass
class Waiting:
    """A thread that looks for whom the migration's sessions wait."""

    dsn: Dsn
    _ended: threading.Event = field(default_factory=threading.Event)
    _since: dict[Wait, float] = field(default_factory=dict)
    _told: dict[Wait, float] = field(default_factory=dict)
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
        blocked = _waits(connection, _BLOCKED, MIGRATING)
        unconfirmed = _waits(connection, _UNCONFIRMED, MIGRATING, IN_LINE)
        self._since = {wait: self._since.get(wait, now) for wait in (*blocked, *unconfirmed)}
        patience = get_settings().lock_patience_seconds
        for wait, holders in blocked.items():
            if now - self._since[wait] > patience:
                self._sentence = (
                    f"The command waited for {holders} for {patience:g} s; "
                    "end those transactions and run the command again, it goes on where it was."
                )
                connection.execute("select pg_cancel_backend(%s)", (wait[0],))
            else:
                self._tell(wait, now, "Waiting for %s to end; writers go on.", holders)
        for wait, names in unconfirmed.items():
            self._tell(
                wait,
                now,
                "Waiting for a synchronous standby to confirm a commit; synchronous_standby_names "
                "is '%s': start that standby, or change the setting and reload the server.",
                names,
            )

    def _tell(self, wait: Wait, now: float, sentence: str, whom: str) -> None:
        is_long = now - self._since[wait] > _TELL_AFTER_SECONDS
        if is_long and now - self._told.get(wait, -_TELL_EVERY_SECONDS) >= _TELL_EVERY_SECONDS:
            self._told[wait] = now
            _log.info(sentence, whom)


def _waits(connection: Connection, query: str, *names: str) -> dict[Wait, str]:
    return {
        (pid, started): whom for pid, started, whom in connection.execute(query.encode(), names)
    }
