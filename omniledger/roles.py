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


_HAVE_RIGHTS = """
select from pg_roles where rolname = %s and has_schema_privilege(oid, 'ledger', 'usage')
"""


def grant_again(connection: Connection, legacy_schema: str) -> None:
    """Give the roles their rights on what a merge moved and made, where they have any here."""
    # With it comes Alembic, which who publishes has no use for.
    from migrations.roles import granting

    if connection.execute(_HAVE_RIGHTS, [RUNNER]).rowcount:
        connection.execute(granting(legacy_schema).encode())


def let_readers_read(connection: Connection, relation: sql.Composable) -> None:
    """Grant SELECT on a published table that was just made, where there is a role of readers."""
    is_there = connection.execute("select from pg_roles where rolname = %s", [READER])
    if is_there.rowcount:
        connection.execute(
            sql.SQL("grant select on {} to {}").format(relation, sql.Identifier(READER))
        )
