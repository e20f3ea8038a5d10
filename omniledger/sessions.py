"""Sessions of long work, which hold a lock from one transaction to the next."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omniledger.database import Connection, Dsn, connect, session, takes_no_writes
from omniledger.errors import NotReadyError

_PID = "select pg_backend_pid()"

_PATIENCE_SECONDS = 3
"""How long a pooler may take to find a free session of the server."""


@contextmanager
def lasting(dsn: Dsn, **parameters: Any) -> Iterator[Connection]:
    """As `session`, in autocommit, for work that an advisory lock keeps to one at a time.

    Raises:
        DatabaseError: the database can't be reached, or went away.
        NotReadyError: the server takes no writes, or a pooler before it gives each transaction
            another session, in which such a lock holds nothing; or a statement was refused.
    """
    with session(dsn, autocommit=True, **parameters) as connection:
        if connection.execute("select pg_is_in_recovery()").fetchone() == (True,):
            raise takes_no_writes(dsn)
        if _is_shared(connection, dsn):
            raise NotReadyError(
                f"A connection pooler in transaction mode answers at {dsn.safe()}, through which "
                "no lock can be held; name the server itself, or a pooler in session mode, in "
                "DATABASE_URL."
            )
        yield connection


def _is_shared(connection: Connection, dsn: Dsn) -> bool:
    """Whether what one transaction leaves in its session may not be there in the next.

    A pooler names another process than the server's own as who to cancel. Then two transactions of
    one client come to two sessions, or the second client comes to the first one's, which only
    idles; a pooler that keeps a session for each client does neither.
    """
    [(own,)] = connection.execute(_PID).fetchall()
    if own == connection.info.backend_pid:
        return False
    [(again,)] = connection.execute(_PID).fetchall()
    if again != own:
        return True
    with connect(dsn, autocommit=True) as other:
        other.pgconn.send_query(_PID.encode())
        # Where each client has a session of its own, there may be none left for a second.
        if not select.select([other.fileno()], [], [], _PATIENCE_SECONDS)[0]:
            other.pgconn.finish()
            return False
        other.pgconn.consume_input()
        result = other.pgconn.get_result()
        others = result.get_value(0, 0) if result is not None else None
        while other.pgconn.get_result() is not None:
            pass
    return others is not None and int(others) == own
