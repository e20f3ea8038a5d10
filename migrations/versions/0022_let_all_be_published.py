"""Let a publication of all tables, as change data capture makes one, refuse none of our deletes.

PostgreSQL refuses UPDATE and DELETE on a published table that has no key to tell the row by. What
has none, of ledger's tables and those that runs made, tells it by all its columns.

Locks: ACCESS EXCLUSIVE for an instant on tables that only omniledger writes.
Way back: nothing to do; without a publication it makes no difference.

Revision ID: 0022
Revises: 0021
"""

from migrations.ddl import run, sql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("replica_identity"))


def downgrade() -> None:
    pass
