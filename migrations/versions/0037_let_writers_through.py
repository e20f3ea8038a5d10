"""Let through the writers that what an earlier version carried refuses.

It put foreign keys of the old table on columns that the gateway writes, too, and one to each
partition of what they reference; and rights on a column made by hand stayed with that column when
it was converted.

Locks: ACCESS EXCLUSIVE on `omni2.audit_logs`, and on what such a key references, for an instant,
where there is one.
Way back: it stays as it is; the merge takes its keys away on its own way back.

Revision ID: 0037
Revises: 0036
"""

from functools import partial

from alembic import context, op

from migrations.ddl import driver, run, run_live
from migrations.gateway import LEDGER
from migrations.hand_made import give_rights
from migrations.merge.binding import binding
from migrations.patience import patiently

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.is_offline_mode():
        run(
            "-- left out: what an earlier version carried is mended by `alembic upgrade head` alone"
        )
        return
    with op.get_context().autocommit_block():
        patiently(driver(), LEDGER, partial(give_rights, driver()))
    run_live(LEDGER, *(f"alter table {LEDGER} drop constraint {key}" for key in binding(driver())))


def downgrade() -> None:
    pass
