"""One run at a time, and what may not be at work beside one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from omniledger.database import Connection, Dsn, session
from omniledger.errors import NotReadyError
from omniledger.roles import require_no_superuser
from omniledger.sessions import IS_HELD, given_back, require_lasting, try_lock

LOCK = 0x6F6D6E6972756E73
"""The advisory lock of a run: the letters "omniruns"."""

IS_AT_WORK = f"select pg_is_in_recovery() or lock.held as held from ({IS_HELD}) as lock"  # noqa: S608
"""Whether a run may be at work: somebody has its `lock`, or nobody could tell, as on a replica."""


@contextmanager
def turn(dsn: Dsn) -> Iterator[Connection]:
    """A session, in autocommit, while which no run is at work on this database.

    Raises:
        NotReadyError: one is at work.
    """
    with session(dsn, autocommit=True) as connection, no_run_at_work(connection):
        yield connection


@contextmanager
def no_run_at_work(connection: Connection) -> Iterator[None]:
    """Keep runs away inside the block.

    Raises:
        NotReadyError: another run is at work on this database, or this is a superuser where
            others own the marts.
    """
    require_no_superuser(connection)
    with only_one(
        connection,
        LOCK,
        "Another run is at work on this database; wait until it has ended and run again.",
    ):
        yield


@contextmanager
def only_one(connection: Connection, key: int, refusal: str) -> Iterator[None]:
    """Hold an advisory lock inside the block; it is its session's, and dies with it.

    Raises:
        NotReadyError: somebody else holds it, and `refusal` says what to do; or the server takes
            no writes, or is a pooler through which no lock lasts.
    """
    require_lasting(connection)
    if not try_lock(connection, key):
        raise NotReadyError(refusal)
    with given_back(connection, key):
        yield
