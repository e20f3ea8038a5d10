"""Create the tables that the provider's bill is kept in.

Locks: none that anybody could wait for; only new objects are made.
Way back: they are dropped, with every bill that was imported in them.

Revision ID: 0012
Revises: 0011
"""

from migrations.ddl import run, sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES = (
    "bill_imports",
    "provider_buckets",
    "provider_usage",
    "provider_costs",
    "provider_usage_history",
    "provider_costs_history",
)


def upgrade() -> None:
    run(sql("provider_bill"))


def downgrade() -> None:
    run(f"drop table if exists {', '.join(f'ledger.{table}' for table in _TABLES)}")
