"""Indexes that are built while others write."""

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
