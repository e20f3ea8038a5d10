"""The record of runs in `ledger.runs`, and the lock that keeps two from overlapping."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from omniledger.database import Connection, Dsn, session
from omniledger.errors import GateRefused, NotReadyError, OmniledgerError, SettingsError

_LOCK = 0x6F6D6E6972756E73
"""The advisory lock of a run: the letters "omniruns"."""

_ID = re.compile(r"[0-9a-fA-F-]{4,36}")

_CLEAR_KILLED = """
update ledger.runs
set verdict = 'failed', finished_at = now(), reason = 'It was killed before it ended.'
where verdict = 'running'
"""

_BEGIN = "insert into ledger.runs (run_id) values (%s)"

_LAST = """
select verdict from ledger.runs where verdict <> 'running' order by started_at desc limit 1
"""

_END = """
update ledger.runs
set verdict = %s, finished_at = now(), reason = %s, figures = %s
where run_id = %s
"""


_BY_ID = """
select run_id, started_at, finished_at, verdict, coalesce(reason, '')
from ledger.runs
where starts_with(run_id::text, %s)
order by started_at desc
limit 2
"""

_NEWEST = """
select run_id, started_at, finished_at, verdict, coalesce(reason, '')
from ledger.runs
where not %(is_judged)s or run_id in (select run_id from ledger.gate_results)
order by started_at desc
limit 1
"""


_NOW = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now()"


@dataclass(frozen=True)
class Began:
    """When a run began: every transaction before `xmin` had ended, and the clock said `at`."""

    xmin: int
    at: datetime


class Run:
    """One run under way; `figures` goes into its record when it ends.

    `follows_refusal` says that the gate refused what the run before had built.
    """

    def __init__(self, connection: Connection, follows_refusal: bool) -> None:
        self.run_id: UUID = uuid4()
        [now] = connection.execute(_NOW).fetchall()
        self.began = Began(*now)
        self.follows_refusal = follows_refusal
        self.figures: dict[str, Any] = {}
        self._connection = connection

    def end(self, verdict: str, reason: str | None = None) -> None:
        """Record how it ended, as published, refused or failed."""
        figures = json.dumps(self.figures, default=str)
        self._connection.execute(_END, (verdict, reason, figures, self.run_id))


@dataclass(frozen=True)
class PastRun:
    """What `ledger.runs` says of one run."""

    run_id: UUID
    started_at: datetime
    finished_at: datetime | None
    verdict: str
    reason: str


def find_run(connection: Connection, named: str) -> PastRun:
    """The run that a person names by its id, by the first letters of it, or as `last`.

    `last` is the last that the gate has judged.

    Raises:
        SettingsError: that is no run's id, or several begin with it.
        NotReadyError: there is no such run.
    """
    if named == "last":
        newest = newest_run(connection, is_judged=True)
        if newest is None:
            raise NotReadyError("The gate has not judged a run yet; `omniledger run` makes one.")
        return newest
    if not _ID.fullmatch(named):
        raise SettingsError(
            f"{named!r} is no run: name it by its id, by the first letters of it, or as last."
        )
    found = connection.execute(_BY_ID, [named.lower()]).fetchall()
    if not found:
        raise NotReadyError(f"There is no run {named}; `ledger.runs` lists those that there were.")
    if len(found) > 1:
        raise SettingsError(f"Several runs begin with {named}; write more of the id.")
    return PastRun(*found[0])


def newest_run(connection: Connection, *, is_judged: bool = False) -> PastRun | None:
    """The run that began last, whatever became of it, or the last that the gate has judged."""
    row = connection.execute(_NEWEST, {"is_judged": is_judged}).fetchone()
    return None if row is None else PastRun(*row)


@contextmanager
def turn(dsn: Dsn) -> Iterator[Connection]:
    """A session, in autocommit, while which no run is at work on this database.

    Raises:
        NotReadyError: one is at work.
    """
    with session(dsn, autocommit=True) as connection:
        if connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() != (True,):
            raise NotReadyError(
                "Another run is at work on this database; wait until it has ended and run again."
            )
        yield connection


@contextmanager
def recorded(dsn: Dsn) -> Iterator[Run]:
    """Record a run from its beginning to its end, whatever the end is.

    Raises:
        NotReadyError: another run is at work on this database.
    """
    with turn(dsn) as connection:
        connection.execute(_CLEAR_KILLED)
        last = connection.execute(_LAST).fetchone()
        run = Run(connection, follows_refusal=last == ("refused",))
        connection.execute(_BEGIN, (run.run_id,))
        try:
            yield run
        except BaseException as error:
            if not connection.closed and not connection.broken:
                run.end("refused" if isinstance(error, GateRefused) else "failed", _reason(error))
            raise


def _reason(error: BaseException) -> str:
    if isinstance(error, OmniledgerError):
        return str(error)
    if not isinstance(error, Exception):
        # Ctrl-C, or Prefect's signal to a run whose runner ends.
        return "It was interrupted."
    return f"{type(error).__name__}: {error}"
