"""One at a time: what changes the gateway's schema or merges its rows takes turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from migrations.waiting import END_LEFTOVERS, IN_LINE, MIGRATING
from omniledger.database import Connection, Dsn, connect
from omniledger.sessions import IS_HELD, given_back, require_lasting, try_lock

LOCK = 0x6F6D6E696C656467
"""The advisory lock of an upgrade: the letters "omniledg"."""


@contextmanager
def taken(dsn: Dsn, say: Callable[[str], object]) -> Iterator[Connection]:
    """Wait until no other upgrade or merge runs, and keep others waiting inside the block.

    It asks again and again rather than wait inside one statement: that statement's snapshot
    would hold up the other upgrade's concurrent index builds for ever. The lock dies with its
    connection, so a killed upgrade leaves none behind.

    Args:
        say: told once, where it has to wait.

    Raises:
        NotReadyError: the server takes no writes, or is a pooler through which no lock lasts.
    """
    with connect(dsn, autocommit=True, application_name=IN_LINE) as guard:
        require_lasting(guard)
        told = False
        while not try_lock(guard, LOCK):
            if not told:
                say("Another upgrade is at work; waiting for it to end.")
                told = True
            time.sleep(0.5)
        with given_back(guard, LOCK):
            _end_leftovers(guard)
            yield guard


def _end_leftovers(guard: Connection) -> None:
    """End the sessions that a killed upgrade left at work: it is our turn, so they are nobody's.

    A server notices that its client is dead only when it answers, so a statement goes on to its
    end, and a concurrent index build and ours would wait for each other.
    """
    while guard.execute(END_LEFTOVERS.encode(), (MIGRATING,)).fetchone() is not None:
        time.sleep(0.1)


def is_taken(connection: Connection) -> bool:
    """Whether an upgrade or a merge is at work on this database now."""
    return connection.execute(IS_HELD, {"lock": LOCK}).fetchone() == (True,)
