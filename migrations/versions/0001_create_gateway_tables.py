"""Create the gateway's own tables where an empty database has none.

Locks: none that anybody could wait for; only new tables are made.
Way back: they stay, for they are the gateway's and hold its data.

Revision ID: 0001
Revises:
"""

from alembic import context

from migrations.ddl import driver, exists, run, sql
from migrations.legacy import inspect
from omniledger.settings import get_settings

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
    if not context.is_offline_mode():
        # What can't be carried stops the upgrade here, before anything is changed.
        inspect(driver(), get_settings().legacy_schema)
    # "if not exists" still asks for the right to create, which an operator may rightly lack.
    if context.is_offline_mode() or not all(exists(table) for table in _TABLES):
        run(sql("gateway_tables"))


def downgrade() -> None:
    pass
