"""What is copied from the source: the logs by what changed, small tables as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

FOREIGN = "source"
"""The schema of the foreign tables on the analytics server."""

SERVER = "omniledger_source"
"""The foreign server."""

COPY = "A copy of the source's table of the same name; only the copying writes it."
"""What a copy's comment says, by which it is known."""


@dataclass(frozen=True)
class Table:
    """A table of the source, and its copy under the same name.

    Without `columns` it is one that the migrations made on both sides alike, and all are copied.
    """

    schema: str
    name: str
    columns: tuple[str, ...] = ()
    where: str = "true"

    @property
    def copy(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def foreign(self) -> sql.Identifier:
        return sql.Identifier(FOREIGN, self.name)


# No question, message or address: figures, contracts and the gate read none.
LOGS = (
    Table(
        "omni2",
        "audit_logs",
        (
            "id",
            "legacy_id",
            "user_id",
            "legacy_user_id",
            "timestamp",
            "source_system",
            "request_type",
            "mcp_target",
            "tool_called",
            "tool_params",
            "tools_used",
            "mcps_accessed",
            "tool_calls_count",
            "llm_model",
            "success",
            "status",
            "was_blocked",
            "duration_ms",
            "result_summary",
            "error_message",
            "tokens_input",
            "tokens_output",
            "tokens_cached",
            "tokens_cache_write",
            "llm_tokens_used",
            "cost_usd",
            "change_xid",
        ),
    ),
    Table(
        "omni2",
        "mcp_health_log",
        (
            "id",
            "mcp_server_id",
            "timestamp",
            "status",
            "event_type",
            "response_time_ms",
            "error_message",
            "meta_data",
            "change_xid",
        ),
    ),
)

GATEWAY = (
    Table(
        "omni2",
        "mcp_servers",
        ("id", "name", "health_check_interval_seconds", "health_check_interval"),
    ),
    Table("auth_service", "users", ("id", "email", "username", "name", "role_id", "active")),
    Table("auth_service", "roles", ("id", "name", "cost_limit_daily")),
    Table("auth_service", "teams", ("id", "team_cost_limit")),
    Table("auth_service", "team_members", ("team_id", "user_id")),
    Table("auth_service", "user_overrides", ("user_id", "custom_cost_limit")),
)
"""Without what is secret in them; any table or column may be missing."""

# Four settings are those of whoever runs, here as anywhere: see `Settings.store`. Two more are of
# what was published here: see `omniledger.publish`.
_NOT_OF_THE_RUN = (
    "name not in ('default_model', 'reporting_timezone', 'default_cost_limit', 'unpriced_tokens')"
    " and not starts_with(name, 'published_')"
)

LEDGER = (
    Table("ledger", "settings", where=_NOT_OF_THE_RUN),
    *(
        Table("ledger", name)
        for name in (
            "model_prices",
            "model_names",
            "model_history",
            "limit_history",
            "provider_usage",
            "provider_costs",
            "provider_buckets",
            "audit_quarantine",
            "merge_runs",
        )
    ),
)
"""What the operator says, and what the report shows of the source."""

READ_ONLY = (
    Table("ledger", "source_snapshot"),
    Table("ledger", "source_columns"),
    Table("ledger", "deleted_days"),
)
"""What is read of the source and not copied."""
