"""Take from runners what would let one of them remove raw rows, or rewrite what the gate found.

A removal that was begun is ended by the next `omniledger prune`, whoever noted it; so only those
who may remove rows note one. What the gate found and what was published all the same is only added
to, and who did it and when the server says. Owners of the tables become runners, whose the marts
are.

Locks: none that anybody waits for.
Way back: runners get back what they had; revision 0015 takes all rights of its roles.

Revision ID: 0035
Revises: 0033
"""

from migrations.ddl import run, sql
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0035"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    run(sql("runners_before_0035"))
