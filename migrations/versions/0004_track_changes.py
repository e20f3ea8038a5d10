"""Note on each row which transaction wrote it last, and which days rows left.

That is what lets the models rebuild the days that changed, and no others, although transactions
commit out of order.

Locks: ACCESS EXCLUSIVE for an instant at each ALTER TABLE, SHARE ROW EXCLUSIVE for an instant at
each trigger. The column comes first and its default after, so that nothing is rewritten.
Way back: triggers, functions and columns are dropped, and with them the tables that runs built,
which could not be brought up to date after a time without notes.

Revision ID: 0004
Revises: 0003
"""

from migrations.built import drop_built
from migrations.ddl import run, run_live, sql
from migrations.triggers import make_trigger

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("omni2.audit_logs", "omni2.mcp_health_log")
_TRIGGERS = {
    "omniledger_stamp_change": "before update on {table} for each row"
    " execute function ledger.stamp_change()",
    "omniledger_note_departed": "after update of timestamp on {table} for each row"
    " when (old.timestamp is distinct from new.timestamp and old.timestamp is not null)"
    " execute function ledger.note_departed()",
    "omniledger_note_deleted": "after delete on {table} referencing old table as deleted"
    " for each statement execute function ledger.note_deleted()",
    "omniledger_note_truncated": "after truncate on {table}"
    " for each statement execute function ledger.note_truncated()",
}


def upgrade() -> None:
    run(sql("change_tracking"))
    for table in _TABLES:
        run_live(
            table,
            f"alter table {table} add column if not exists change_xid bigint",
            f"alter table {table} alter column change_xid"
            " set default (pg_current_xact_id()::text::bigint)",
            *(
                make_trigger(name, table, body.format(table=table))
                for name, body in _TRIGGERS.items()
            ),
        )


def downgrade() -> None:
    drop_built("table")
    for table in _TABLES:
        run_live(
            table,
            *(f"drop trigger if exists {name} on {table}" for name in _TRIGGERS),
            f"alter table {table} drop column if exists change_xid",
        )
    run(
        "drop function if exists ledger.stamp_change, ledger.note_departed,"
        " ledger.note_deleted, ledger.note_truncated"
    )
