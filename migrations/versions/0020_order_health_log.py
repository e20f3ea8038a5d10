"""Put a server's events of one moment in the order in which they were noted, newest first.

Events without a time come on no page, as rows of the audit log without one.

Locks: none. Revision 0013 makes it so from the beginning, and 0041 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0020
Revises: 0019
"""

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
