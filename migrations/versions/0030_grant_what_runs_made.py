"""Grant what runs have made since the roles were granted, in databases where they did so before.

The table of revised usage was its maker's alone, and what one login built no other could build
again. Runs see to it themselves now.

Locks: ACCESS EXCLUSIVE for an instant on marts that another login owns; writers hold none of them.
Way back: revision 0015 takes all rights of its roles.

Revision ID: 0030
Revises: 0029
"""

from migrations.ddl import run
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    pass
