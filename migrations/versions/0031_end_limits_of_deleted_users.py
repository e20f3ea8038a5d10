"""Let the limit of a user who was deleted be everybody's, as it is for the quota check.

What was noted of him last stayed in force in the marts and on the report for ever.

Locks: none that anybody could wait for.
Way back: none is needed; what was noted stays true.

Revision ID: 0031
Revises: 0030
"""

from migrations.ddl import run, sql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("note_limits"))


def downgrade() -> None:
    pass
