"""Grant the functions of `ledger` where default privileges take functions from PUBLIC.

The index of the logs dialog's search is over functions, which it calls as the writer: where a
gateway with a role of its own might not, its rows were refused. The roles of 0015 get the others.

Locks: none that anybody could wait for.
Way back: revision 0015 takes all rights of its roles.

Revision ID: 0023
Revises: 0022
"""

from migrations.ddl import run
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("grant execute on function ledger.audit_keys, ledger.audit_text to public")
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    pass
