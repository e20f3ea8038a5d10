"""Create the tables and price functions of the schema `ledger`.

Locks: none that anybody could wait for; only new objects are made.
Way back: they are dropped, with the certificates and the history of runs in them.

Revision ID: 0002
Revises: 0001
"""

from alembic import context

from migrations.ddl import driver, run, sql
from omniledger.settings import get_settings

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "settings",
    "model_prices",
    "model_history",
    "user_map",
    "deleted_days",
    "audit_quarantine",
    "audit_matches",
    "audit_tombstones",
    "audit_merge_changes",
    "merge_runs",
    "runs",
    "gate_results",
)


def upgrade() -> None:
    run(sql("ledger_tables"))
    run(sql("price_functions"))
    if not context.is_offline_mode():
        get_settings().store(driver())


def downgrade() -> None:
    run("drop function if exists ledger.usage_cost, ledger.price_usage")
    run(f"drop table if exists {', '.join(f'ledger.{table}' for table in _TABLES)}")
