"""Give the logs dialog its functions, and the lists and indexes that keep them fast.

`ledger.audit_servers` lists the requests of each server in the order of time, which no index over
the array `mcps_accessed` knows.

The index that search uses is not built here: it would make each INSERT a sixth dearer, and an
operator who wants that has `omniledger logs index`.

Locks: SHARE ROW EXCLUSIVE on `omni2.audit_logs` for an instant at each trigger; indexes are built
CONCURRENTLY. Rows from before are listed in batches by id, without a lock.
Way back: functions, triggers, lists and indexes are dropped.

Revision ID: 0013
Revises: 0012
"""

from alembic import context, op

from migrations.ddl import build_index, drop_index, own_connection, run, run_live, sql
from migrations.search import drop_search
from migrations.servers import list_servers
from migrations.triggers import make_trigger

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLE = "omni2.audit_logs"
_NOTED = ("id", "timestamp", "success", "mcp_target", "mcps_accessed")
_CHANGED = " or ".join(f"old.{name} is distinct from new.{name}" for name in _NOTED)
_TRIGGERS = {
    "omniledger_note_servers_insert": f"after insert on {_TABLE} for each row"
    " when (new.mcps_accessed is not null) execute function ledger.note_servers()",
    "omniledger_note_servers_update": f"after update on {_TABLE} for each row"
    " when (coalesce(old.mcps_accessed, new.mcps_accessed) is not null"
    f" and ({_CHANGED})) execute function ledger.note_servers()",
    "omniledger_note_servers_delete": f"after delete on {_TABLE} for each row"
    " when (old.mcps_accessed is not null) execute function ledger.note_servers()",
    "omniledger_forget_servers": f"after truncate on {_TABLE} for each statement"
    " execute function ledger.forget_servers()",
}
_FAILED = "omniledger_audit_logs_server_failed"


def upgrade() -> None:
    run(sql("audit_servers"))
    run_live(_TABLE, *(make_trigger(name, _TABLE, body) for name, body in _TRIGGERS.items()))
    run(sql("audit_search"))
    build_index(_FAILED, _TABLE, "(mcp_target, timestamp desc) where success is not true")
    if context.is_offline_mode():
        run("-- left out: the list of the rows from before; run `omniledger logs index` for it")
    else:
        with op.get_context().autocommit_block(), own_connection() as connection:
            list_servers(connection)
    for name in ("audit_listed", "audit_found", "logs_functions"):
        run(sql(name))


def downgrade() -> None:
    run(
        "drop function if exists ledger.mcp_server_audit_json, ledger.mcp_server_logs_json,"
        " ledger.mcp_server_audit, ledger.mcp_server_logs, ledger.logs_document,"
        " ledger.audit_found, ledger.audit_indexed, ledger.audit_newest, ledger.audit_numbers,"
        " ledger.audit_says, ledger.audit_listed, ledger.is_dated"
    )
    if not context.is_offline_mode():
        with op.get_context().autocommit_block(), own_connection() as connection:
            drop_search(connection)
    drop_index(_FAILED, "omni2")
    run_live(_TABLE, *(f"drop trigger if exists {name} on {_TABLE}" for name in _TRIGGERS))
    run(
        "drop function if exists ledger.note_servers, ledger.forget_servers, ledger.audit_text,"
        " ledger.audit_keys"
    )
    run("drop table if exists ledger.audit_servers")
