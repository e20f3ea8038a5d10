"""Create the tables and price functions of the schema `ledger`.

Locks: none that anybody could wait for; only new objects are made.
Way back: they are dropped, with the certificates and the history of runs in them.

Revision ID: 0002
Revises: 0001
"""

from alembic import context, op
from sqlalchemy import text

from migrations.ddl import run, sql
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
    settings = get_settings()
    statement = text(
        "insert into ledger.settings (name, value) "
        "values ('default_model', :model), ('reporting_timezone', :zone) on conflict do nothing"
    ).bindparams(model=settings.default_model, zone=settings.reporting_timezone)
    op.execute(statement) if not context.is_offline_mode() else run(
        str(statement.compile(compile_kwargs={"literal_binds": True}))
    )


def downgrade() -> None:
    run("drop function if exists ledger.usage_cost, ledger.price_usage")
    run(f"drop table if exists {', '.join(f'ledger.{table}' for table in _TABLES)}")
