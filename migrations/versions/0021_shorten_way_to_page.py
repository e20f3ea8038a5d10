"""Answer a page of the logs dialog that asks for no word from the lists alone.

Locks: none that anybody could wait for; functions are replaced.
Way back: the functions are again what they were.

Revision ID: 0021
Revises: 0020
"""

from migrations.ddl import run, sql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("audit_page"))


def downgrade() -> None:
    run(sql("logs_functions"))
    run(sql("health_page"))
    run("drop function if exists ledger.audit_listed")
