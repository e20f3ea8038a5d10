"""Show to another server what it has to know to keep a copy of this database.

That server reads the two views through `postgres_fdw`, and notes in `ledger.ingests` what it took.

Locks: none that anybody could wait for; only new things are made.
Way back: they are dropped.

Revision ID: 0019
Revises: 0018
"""

from migrations.ddl import run, sql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("source_views"))


def downgrade() -> None:
    run("drop view if exists ledger.source_columns, ledger.source_snapshot")
    run("drop function if exists ledger.source_identity")
    run("drop table if exists ledger.ingests")
