"""Keep new rows out of the holes that a merge left, where one was done before this revision.

A merge does so itself from now on.

Locks: SHARE UPDATE EXCLUSIVE on `omni2.audit_logs` for an instant, which no writer waits for.
Way back: it stays; the merge takes it back on its own way back.

Revision ID: 0039
Revises: 0038
"""

from functools import partial

from alembic import context, op

from migrations.ddl import driver, run
from migrations.gateway import LEDGER
from migrations.merge import room
from migrations.merge.record import last_done
from migrations.patience import patiently

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.is_offline_mode():
        run(
            "-- left out: how full an INSERT may make a page is set by `alembic upgrade head` alone"
        )
        return
    with op.get_context().autocommit_block():
        done = last_done(driver())
        if done is not None and done.legacy.has_table:
            patiently(driver(), LEDGER, partial(room.keep_out, driver()))


def downgrade() -> None:
    pass
