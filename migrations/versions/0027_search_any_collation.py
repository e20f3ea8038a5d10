"""Search the logs dialog whatever collations the gateway's columns have.

What is searched is compared in the database's own collation, that of the search index: a
nondeterministic one matches no pattern, and several at once leave none to match by.

Locks: none. Revision 0013 makes it so from the beginning, and 0041 brings it to databases that
ran that as it was.
Way back: nothing to do.

Revision ID: 0027
Revises: 0026
"""

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
