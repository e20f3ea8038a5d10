"""Answer a page of the logs dialog that asks for no word from the lists alone.

Locks: none. Revision 0013 makes it so from the beginning, and 0041 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0021
Revises: 0020
"""

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
