"""Keep what the operator was alerted to, so that each event is told once.

Locks: none that anybody could wait for; only a new table is made.
Way back: it is dropped, with the record of alerts in it.

Revision ID: 0014
Revises: 0013
"""

from migrations.ddl import run, sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("alerts_table"))


def downgrade() -> None:
    run("drop table if exists ledger.alerts")
