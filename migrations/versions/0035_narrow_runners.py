"""Take from runners what would let one of them remove raw rows, or rewrite what the gate found.

A removal that was begun is ended by the next `omniledger prune`, whoever noted it; so only those
who may remove rows note one. What the gate found and what was published all the same is only added
to, and who did it and when the server says. Owners of the tables become runners, whose the marts
are. What merges noted of the old table gets its names in full, for our sessions have no search path
of the gateway's.

Locks: none that anybody waits for.
Way back: nothing to do; revision 0015 takes all rights of its roles. Names in full hold for an
earlier version, too.

Revision ID: 0035
Revises: 0034
"""

from alembic import context

from migrations.ddl import driver, run
from migrations.qualifying import qualify_shapes
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(granting(get_settings().legacy_schema))
    if not context.is_offline_mode():
        qualify_shapes(driver())


def downgrade() -> None:
    pass
