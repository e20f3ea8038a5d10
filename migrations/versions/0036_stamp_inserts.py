"""Note on each new row which transaction wrote it, whatever its writer says.

The default alone let a writer name another one: a row that says it is old was in no figure, as no
day had changed. A subscription to another server's log brings that server's numbers along.

Locks: SHARE ROW EXCLUSIVE for an instant at each trigger.
Way back: the triggers are dropped.

Revision ID: 0036
Revises: 0035
"""

from migrations.ddl import run_live
from migrations.triggers import make_trigger

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_NAME = "omniledger_stamp_insert"
_TABLES = ("omni2.audit_logs", "omni2.mcp_health_log")

# The default is right nearly always, and then nothing is called.
_BODY = """before insert on {table} for each row
    when (new.change_xid is distinct from pg_current_xact_id()::text::bigint)
    execute function ledger.stamp_change()"""


def upgrade() -> None:
    for table in _TABLES:
        run_live(table, make_trigger(_NAME, table, _BODY.format(table=table)))


def downgrade() -> None:
    for table in _TABLES:
        run_live(table, f"drop trigger if exists {_NAME} on {table}")
