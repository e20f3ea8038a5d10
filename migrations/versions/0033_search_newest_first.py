"""Show what a search finds newest first, however unequally far a server's lists reach back.

A page was filled out of the newest rows of each list: of one that is sparse they are old, and stood
in the page instead of newer ones of the other that were not looked at.

Locks: none. Revision 0013 makes it so from the beginning, and 0041 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0033
Revises: 0032
"""

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
