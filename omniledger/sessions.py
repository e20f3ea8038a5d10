"""Locks that a session holds over many transactions, and whether a session here can hold one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from select import select

from psycopg.pq import TransactionStatus

from omniledger.database import Connection, Dsn, another
from omniledger.errors import NotReadyError
from omniledger.explaining import takes_no_writes

_WHERE = "select pg_backend_pid(), current_setting('transaction_read_only')::boolean"

IS_HELD = """
    select
        exists (
            select from pg_locks
            where
                locktype = 'advisory'
                and objsubid = 1
                and granted
                and classid::bigint << 32 | objid::bigint = %(lock)s
                and database = (select oid from pg_database where datname = current_database())
        ) as held
"""
"""Whether a session holds an advisory lock of this database, `lock`."""

_LOOKS = 3
"""How often a pooler is watched: its other clients may hide once what it does."""

_PATIENCE_SECONDS = 3
"""How long it may take to find a session for one more client."""


def try_lock(connection: Connection, key: int) -> bool:
    """Take an advisory lock that is its session's, and dies with it; False where others hold it.

    Of a session that `require_lasting` let pass.
    """
    return connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,)


@contextmanager
def given_back(connection: Connection, key: int) -> Iterator[None]:
    """Give back a lock that was taken at the end of the block.

    A server takes its time to notice that a session has ended, and the next command may be there.
    """
    try:
        yield
    finally:
        # In a transaction that failed nothing can be said any more; its session ends soon.
        if connection.info.transaction_status in (
            TransactionStatus.IDLE,
            TransactionStatus.INTRANS,
        ):
            connection.execute("select pg_advisory_unlock(%s)", (key,))


def require_lasting(connection: Connection) -> None:
    """Refuse what long work can't be done through.

    Args:
        connection: in autocommit.

    Raises:
        NotReadyError: the server takes no writes, or a pooler stands before it that gives each
            transaction another session, on which a lock would hold nothing.
    """
    backend, is_read_only = _where(connection)
    if is_read_only:
        raise takes_no_writes(_dsn(connection))
    # The server tells each client which backend it has; a pooler tells a number of its own.
    if backend != connection.info.backend_pid and _is_lent(connection):
        raise NotReadyError(
            f"{_dsn(connection).safe()} is a pooler that lends a session for one transaction, as "
            "PgBouncer does in transaction mode, and no lock lasts there; name the server's own "
            "address in DATABASE_URL for this command."
        )


def _is_lent(connection: Connection) -> bool:
    """Whether the pooler gives our session to others while we are between transactions."""
    with another(connection, autocommit=True) as other:
        for _ in range(_LOOKS):
            ours = _where(connection)[0]
            other.pgconn.send_query(b"begin; " + _WHERE.encode())
            # Where each client has a session of its own, there may be none left for a second.
            if not select([other.fileno()], [], [], _PATIENCE_SECONDS)[0]:
                other.pgconn.finish()
                return False
            theirs = _answered(other)
            if theirs == ours or _where(connection)[0] != ours:
                return True
            other.execute("rollback")
    return False


def _answered(connection: Connection) -> int | None:
    """The first value of the last answer."""
    value = None
    while (result := connection.pgconn.get_result()) is not None:
        value = result.get_value(0, 0) if result.ntuples else value
    return None if value is None else int(value)


def _where(connection: Connection) -> tuple[int, bool]:
    [(backend, is_read_only)] = connection.execute(_WHERE).fetchall()
    return backend, is_read_only


def _dsn(connection: Connection) -> Dsn:
    info = connection.info
    return Dsn(info.host, info.port, info.dbname, info.user)
