"""Let runners read the sequences that `omniledger inspect` compares with the highest ids.

Without that it could not tell a runner whether anything was changed by hand, and never ended in
order.

Locks: none that anybody waits for.
Way back: none is needed; revision 0015 takes all rights of its roles.

Revision ID: 0041
Revises: 0040
"""

from migrations.ddl import run
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    pass
