"""Waiting for a lock without making anybody wait behind us."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from psycopg import errors

from omniledger.database import Connection
from omniledger.errors import DatabaseError

LOCK_TIMEOUT_MS = 100
"""How long one try may stand in the queue for a lock; writers behind it wait no longer."""

PATIENCE_SECONDS = 600
"""How long all tries together may take before the upgrade gives up."""

_HOLDERS = """
    select
        coalesce(nullif(a.application_name, ''), 'an unnamed client')
        || ' (pid ' || a.pid || ', ' || a.state || ', for '
        || date_trunc('second', now() - a.xact_start) || ')'
    from pg_locks as l
    inner join pg_stat_activity as a on l.pid = a.pid
    where l.relation = to_regclass(%s) and l.granted and a.pid <> pg_backend_pid()
    group by a.pid, a.application_name, a.state, a.xact_start
    order by a.xact_start nulls last
    limit 3
"""

Result = TypeVar("Result")


def patiently(connection: Connection, relation: str, act: Callable[[], Result]) -> Result:
    """Call `act` until it gets its locks, each try short, with longer and longer pauses between.

    Args:
        connection: where `act` runs, outside of any transaction.
        relation: the table that is locked, for the message.
        act: one whole transaction; it must be repeatable.

    Raises:
        DatabaseError: others held the lock all the time; the sentence says who.
    """
    connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT_MS}ms'".encode())
    give_up = time.monotonic() + PATIENCE_SECONDS
    pause = 0.05
    try:
        while True:
            try:
                return act()
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                if time.monotonic() > give_up:
                    raise DatabaseError(_sentence(connection, relation)) from None
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (a jitter, no secret)
            pause = min(pause * 2, 5)
    finally:
        if not connection.closed:
            connection.execute("reset lock_timeout")


def _sentence(connection: Connection, relation: str) -> str:
    holders = ", ".join(row[0] for row in connection.execute(_HOLDERS, (relation,)))
    by_whom = f" by {holders}" if holders else ""
    return (
        f"{relation} was locked{by_whom} for {PATIENCE_SECONDS} s; "
        "end those transactions and run the upgrade again, it goes on where it was."
    )
