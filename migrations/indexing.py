"""Indexes that are built while others write, and what the server waits for when it builds them."""

from __future__ import annotations

from psycopg import sql

from omniledger.database import Connection

_IS_VALID = "select indisvalid from pg_index where indexrelid = to_regclass(%s)"


def build_concurrently(
    connection: Connection, index: sql.Identifier, create: sql.SQL | sql.Composed
) -> None:
    """Build an index if it is not there; one that a killed build left broken goes first.

    Args:
        connection: in autocommit.
        index: its schema and name.
        create: CREATE INDEX CONCURRENTLY, whole.
    """
    found = connection.execute(_IS_VALID, (index.as_string(None),)).fetchone()
    if found == (True,):
        return
    if found is not None:
        connection.execute(sql.SQL("drop index concurrently {}").format(index))
    connection.execute(create)


_OUTWAITED = sql.Identifier("ledger", "omniledger_outwaited")


def outwait_snapshots(connection: Connection) -> None:
    """Wait until no transaction reads a state of before what is committed by now.

    An index that was built concurrently may not be used before, so the server waits for just that,
    also for sessions that we may not see into. The index itself is of nothing and goes at once.

    Args:
        connection: in autocommit.
    """
    drop = sql.SQL("drop index concurrently if exists {}").format(_OUTWAITED)
    connection.execute(drop)
    connection.execute(
        "create index concurrently omniledger_outwaited on ledger.merge_runs (id) where false"
    )
    connection.execute(drop)
