"""Create the gateway's own tables where an empty database has none.

Locks: none that anybody could wait for; only new tables are made.
Way back: they stay, for they are the gateway's and hold its data.

Revision ID: 0001
Revises:
"""

from alembic import context

from migrations.ddl import exists, run, sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "omni2.audit_logs",
    "omni2.mcp_servers",
    "omni2.mcp_health_log",
    "auth_service.roles",
    "auth_service.users",
)


def upgrade() -> None:
    # "if not exists" still asks for the right to create, which an operator may rightly lack.
    if context.is_offline_mode() or not all(exists(table) for table in _TABLES):
        run(sql("gateway_tables"))


def downgrade() -> None:
    pass
