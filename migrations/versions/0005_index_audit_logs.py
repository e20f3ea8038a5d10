"""Index what the quota check, the logs dialog, the merge and the models look for.

Locks: SHARE UPDATE EXCLUSIVE while each index is built CONCURRENTLY, which no writer waits for.
Way back: the indexes are dropped, concurrently too.

Revision ID: 0005
Revises: 0004
"""

from alembic import context

from migrations.ddl import build_index, drop_index, run, scalar

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = "omniledger_audit_logs_time"

_INDEXES = {
    "omniledger_audit_logs_quota": (
        "omni2.audit_logs",
        "(user_id, timestamp) include (llm_tokens_used, cost_usd, success)",
    ),
    "omniledger_audit_logs_server": ("omni2.audit_logs", "(mcp_target, timestamp desc)"),
    "omniledger_audit_logs_legacy_user": (
        "omni2.audit_logs",
        "(legacy_user_id) where legacy_user_id is not null",
    ),
    "omniledger_audit_logs_changes": (
        "omni2.audit_logs",
        "using brin (change_xid {ops}) with (pages_per_range = 32)",
    ),
    "omniledger_mcp_health_log_server": ("omni2.mcp_health_log", "(mcp_server_id, timestamp desc)"),
    "omniledger_mcp_health_log_changes": (
        "omni2.mcp_health_log",
        "using brin (change_xid {ops}) with (pages_per_range = 32)",
    ),
}


# The gateway's own migrations make one; a second of the same would only slow its writer.
_HAS_TIME = """
    select exists (
        select
        from pg_index as i
        inner join pg_attribute as a on i.indrelid = a.attrelid and i.indkey[0] = a.attnum
        where
            i.indrelid = 'omni2.audit_logs'::regclass
            and a.attname = 'timestamp'
            and i.indnkeyatts = 1
            and i.indisvalid
            and i.indpred is null
    )
"""


def upgrade() -> None:
    # The multi-minmax operator class, which stays narrow when old rows are updated, is of 14.
    version = scalar("select current_setting('server_version_num')::integer")
    ops = "int8_minmax_multi_ops" if version is None or version >= 140000 else "int8_minmax_ops"
    if version is None:
        run("-- on PostgreSQL 13 write int8_minmax_ops for int8_minmax_multi_ops")
    for name, (table, definition) in _INDEXES.items():
        build_index(name, table, definition.format(ops=ops))
    if context.is_offline_mode():
        run(
            "-- if no index begins with omni2.audit_logs.timestamp:"
            f" create index concurrently {_TIME} on omni2.audit_logs (timestamp)"
        )
    elif not scalar(_HAS_TIME):
        build_index(_TIME, "omni2.audit_logs", "(timestamp)")
    build_index(
        "omniledger_audit_logs_legacy_id",
        "omni2.audit_logs",
        "(legacy_id)",
        unique=True,
    )


def downgrade() -> None:
    for name in (*_INDEXES, _TIME, "omniledger_audit_logs_legacy_id"):
        drop_index(name, "omni2")
