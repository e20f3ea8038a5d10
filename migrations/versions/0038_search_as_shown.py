"""Search the logs dialog for what it shows.

Somebody without an e-mail address is shown by number, and was not found by it; a search with a
newline in it matched across two texts of a row, which are joined by one.

Locks: none that anybody could wait for; functions are replaced.
Way back: the functions are again what they were.

Revision ID: 0038
Revises: 0037
"""

from migrations.ddl import run, sql
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("audit_persons"))
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    for name in ("audit_collations", "audit_newest"):
        run(sql(name))
    run("drop function if exists ledger.audit_says, ledger.audit_numbers")
