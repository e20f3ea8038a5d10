"""Let the ledger's triggers fire for what a replica writes, in databases that have them already.

A subscription, and a session with `session_replication_role = replica`, passed by what notes a
change, fills in a row and leaves a tombstone: what it wrote was in no figure, or was lost.

Locks: SHARE ROW EXCLUSIVE for an instant on each of the two tables.
Way back: none is needed; the triggers do the same for everybody else.

Revision ID: 0026
Revises: 0025
"""

from migrations.ddl import run_live, sql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("omni2.audit_logs", "omni2.mcp_health_log"):
        run_live(table, sql("always_fire").replace("{table}", table))


def downgrade() -> None:
    pass
