"""The record of runs in `ledger.runs`, and the lock that keeps two from overlapping."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from psycopg.pq import TransactionStatus

from omniledger.database import Connection, Dsn, session
from omniledger.errors import GateRefused, NotReadyError, OmniledgerError

_LOCK = 0x6F6D6E6972756E73
"""The advisory lock of a run: the letters "omniruns"."""

_CLEAR_KILLED = """
update ledger.runs
set verdict = 'failed', finished_at = now(), reason = 'It was killed before it ended.'
where verdict = 'running'
"""

_BEGIN = "insert into ledger.runs (run_id) values (%s)"

_XMIN = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

_LAST = """
select verdict from ledger.runs where verdict <> 'running' order by started_at desc limit 1
"""

_END = """
update ledger.runs
set verdict = %s, finished_at = now(), reason = %s, figures = %s
where run_id = %s
"""


class Run:
    """One run under way; `figures` goes into its record when it ends.

    Among them is `xmin`, the oldest transaction still open when it began: what was written before
    that one is in all figures of the run.

    `follows_refusal` says that the gate refused what the run before had built.
    """

    def __init__(self, connection: Connection, follows_refusal: bool) -> None:
        self.run_id: UUID = uuid4()
        self.follows_refusal = follows_refusal
        [(xmin,)] = connection.execute(_XMIN).fetchall()
        self.figures: dict[str, Any] = {"xmin": xmin}
        self._connection = connection

    def end(self, verdict: str, reason: str | None = None) -> None:
        """Record how it ended, as published, refused or failed."""
        figures = json.dumps(self.figures, default=str)
        self._connection.execute(_END, (verdict, reason, figures, self.run_id))


@contextmanager
def no_run_at_work(connection: Connection) -> Iterator[None]:
    """Keep runs away inside the block.

    Raises:
        NotReadyError: another run is at work on this database.
    """
    with only_one(
        connection,
        _LOCK,
        "Another run is at work on this database; wait until it has ended and run again.",
    ):
        yield


@contextmanager
def only_one(connection: Connection, key: int, refusal: str) -> Iterator[None]:
    """Hold an advisory lock inside the block; it is its session's, and dies with it.

    Raises:
        NotReadyError: somebody else holds it; `refusal` says what to do.
    """
    if connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone() != (True,):
        raise NotReadyError(refusal)
    try:
        yield
    finally:
        # In a transaction that failed nothing can be said any more; its session ends soon.
        if connection.info.transaction_status in (
            TransactionStatus.IDLE,
            TransactionStatus.INTRANS,
        ):
            connection.execute("select pg_advisory_unlock(%s)", (key,))


@contextmanager
def recorded(dsn: Dsn) -> Iterator[Run]:
    """Record a run from its beginning to its end, whatever the end is.

    Raises:
        NotReadyError: another run is at work on this database.
    """
    with session(dsn, autocommit=True) as connection, no_run_at_work(connection):
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
