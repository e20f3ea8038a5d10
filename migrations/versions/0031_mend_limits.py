"""Let limits follow what the gateway's tables are: of who was deleted, and of any type.

What was noted last of a deleted user stayed in force in the marts and on the report, though the
quota check no longer knew it. An id or a limit kept as a text failed each run, and the check of
everybody until the next one.

Locks: none. Revision 0011 makes it so from the beginning, and 0040 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0031
Revises: 0030
"""

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
