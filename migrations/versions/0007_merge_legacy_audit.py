"""Merge the legacy audit table into `omni2.audit_logs`; its name becomes a view.

Locks: on the legacy table SHARE ROW EXCLUSIVE for an instant, to watch what is written, and
ACCESS EXCLUSIVE for a few milliseconds at the cut over. Rows are copied in short transactions.
`alembic -x merge=later upgrade head` leaves all of that to `omniledger merge run`.
Way back: the old table comes back from its archive with the rows written since; `omni2.audit_logs`
is locked while the merged rows are taken out of it.

Revision ID: 0007
Revises: 0006
"""

import logging

from alembic import context, op

from migrations.ddl import own_connection, run
from migrations.merge.progress import shown
from migrations.merge.undo import undo
from migrations.options import is_put_off
from omniledger.merging.carrying import carry_out, is_pending
from omniledger.settings import get_settings

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_log = logging.getLogger("omniledger.merge")


def upgrade() -> None:
    if context.is_offline_mode():
        run("-- left out: the merge of the old audit table; run `omniledger merge run` for it")
        return
    settings = get_settings()
    with op.get_context().autocommit_block(), own_connection() as connection:
        if is_put_off() and is_pending(connection, settings):
            context.config.print_stdout(
                "The old audit table stays as it is; `omniledger merge run` merges it."
            )
            return
        with shown() as show:
            certificate = carry_out(connection, settings, show)
            if certificate is not None:
                _log.info("%s.", certificate.sentence())


def downgrade() -> None:
    if context.is_offline_mode():
        run("-- left out: the way back of the merge; run `alembic downgrade` for it")
        return
    with op.get_context().autocommit_block(), own_connection() as connection:
        undo(connection)
