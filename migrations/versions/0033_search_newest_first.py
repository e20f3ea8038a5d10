"""Show what a search finds newest first, however unequally far a server's lists reach back.

A page was filled out of the newest rows of each list: of one that is sparse they are old, and stood
in the page instead of newer ones of the other that were not looked at.

Locks: none that anybody could wait for; a function is replaced.
Way back: the function is again what it was.

Revision ID: 0033
Revises: 0032
"""

from migrations.ddl import run, sql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("audit_newest"))


def downgrade() -> None:
    run(sql("audit_collations"))
