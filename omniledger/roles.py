"""The roles that the migrations make, where they could."""

from __future__ import annotations

from psycopg import sql

from omniledger.database import Connection

OWNER, WRITER, RUNNER, READER = ROLES = (
    "omniledger_owner",
    "omniledger_writer",
    "omniledger_runner",
    "omniledger_reader",
)


def let_readers_read(connection: Connection, relation: sql.Composable) -> None:
    """Grant SELECT on a published table that was just made, where there is a role of readers."""
    is_there = connection.execute("select from pg_roles where rolname = %s", [READER])
    if is_there.rowcount:
        connection.execute(
            sql.SQL("grant select on {} to {}").format(relation, sql.Identifier(READER))
        )
