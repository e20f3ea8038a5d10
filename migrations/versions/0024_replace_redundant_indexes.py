"""Drop the gateway's indexes that one of the ledger's contains, and give that one their name.

An index on `user_id` alone answers nothing that the quota check's, which begins with `user_id`,
doesn't answer, and each INSERT wrote both. The same goes for `mcp_target` and the logs dialog's.

Locks: SHARE UPDATE EXCLUSIVE while an index is dropped CONCURRENTLY, which no writer waits for; the
same on the index alone for an instant, to rename it.
Way back: the names are given back, and what was dropped is built CONCURRENTLY as it was.

Revision ID: 0024
Revises: 0023
"""

from alembic import context, op

from migrations.ddl import driver, run
from migrations.redundant import put_back, replace_redundant

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.is_offline_mode():
        run(
            "-- left out: indexes of omni2.audit_logs that one of the ledger's contains, with which"
            " an INSERT takes longer; run `omniledger merge run` to replace them"
        )
        return
    with op.get_context().autocommit_block():
        replace_redundant(driver())


def downgrade() -> None:
    if context.is_offline_mode():
        run("-- left out: to build the indexes that the upgrade dropped")
        return
    with op.get_context().autocommit_block():
        put_back(driver())
