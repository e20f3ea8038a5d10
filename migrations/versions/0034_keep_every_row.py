"""Keep each row through the old name, whatever it is made of, and know its id and its person.

A row for quarantine with JSON that jsonb can't hold was refused, and so lost. A row that got
another id was taken for lost, and came back twice; one that got none vanished under the old name.
Users with a blank e-mail address were one person; who was mapped so stays until the operator says
who it is.

Locks: SHARE ROW EXCLUSIVE on `omni2.audit_logs`, and ACCESS EXCLUSIVE on the view with the old
name, each for an instant.
Way back: nothing to do. Revision 0006 and the merge make it so from the beginning, and take it away
on their own way back.

Revision ID: 0034
Revises: 0033
"""

from functools import partial

from alembic import context, op

from migrations.ddl import exists, make_fill_in, own_connection, run, run_live
from migrations.gateway import LEDGER
from migrations.legacy import ARCHIVE, Legacy
from migrations.merge.record import Done, last_done
from migrations.merge.users import make_functions, user_table
from migrations.merge.watch import watch_ledger
from migrations.patience import patiently
from omniledger.database import Connection
from omniledger.settings import get_settings

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_fill_in()
    if context.is_offline_mode():
        run("-- left out: what a merge has left behind is mended by `alembic upgrade head` alone")
        return
    with op.get_context().autocommit_block(), own_connection() as connection:
        done = last_done(connection)
        if done is not None:
            patiently(connection, LEDGER, partial(watch_ledger, connection))
        _know_people(connection, done)
    if done is not None and exists(done.legacy.relation):
        relation = done.legacy.relation
        run_live(relation, f"alter view {relation} set (check_option = local)")


def _know_people(connection: Connection, done: Done | None) -> None:
    """Make what finds a user by e-mail anew, whatever became of the tables of users meanwhile."""
    legacy = done.legacy if done else Legacy(get_settings().legacy_schema, ())
    archived = f"ledger.{ARCHIVE}" if done and legacy.has_table else None
    if user_table(connection, legacy, archived) is not None:
        with connection.transaction():
            connection.execute("set local check_function_bodies = off")
            make_functions(connection, legacy, archived)


def downgrade() -> None:
    pass
