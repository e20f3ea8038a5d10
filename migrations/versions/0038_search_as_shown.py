"""Search the logs dialog for what it shows.

Somebody without an e-mail address is shown by number, and was not found by it; a search with a
newline in it matched across two texts of a row, which are joined by one.

Locks: none. Revision 0013 makes it so from the beginning, and 0041 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0038
Revises: 0037
"""

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
