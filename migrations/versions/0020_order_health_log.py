"""Put a server's events of one moment in the order in which they were noted, newest first.

Events without a time come on no page, as rows of the audit log without one.

Locks: none that anybody could wait for; a function is replaced.
Way back: the function is again what it was.

Revision ID: 0020
Revises: 0019
"""

from migrations.ddl import run, sql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("health_page"))


def downgrade() -> None:
    run(sql("logs_functions"))
