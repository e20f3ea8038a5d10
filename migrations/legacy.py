"""What the legacy audit table looks like, and where each of its columns goes in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from migrations import obstacles
from migrations.columns import read_columns
from omniledger.database import Connection

NAME = "audit_logs"
"""The name under which the legacy table is written, without a schema."""

ARCHIVE = "audit_logs_legacy"
"""Its name in the schema `ledger` once it is merged."""

RENAMED = {
    "id": "legacy_id",
    "user_id": "legacy_user_id",
    "message": "question",
    "created_at": "timestamp",
    "cost_estimate": "cost_usd",
}
"""Legacy columns that mean what the ledger calls otherwise."""

ADDED_COLUMNS = {
    "request_type": "character varying(50)",
    "iterations": "integer",
    "tool_calls_count": "integer",
    "tools_used": "text[]",
    "mcps_accessed": "text[]",
    "tokens_input": "integer",
    "tokens_output": "integer",
    "tokens_cached": "integer",
    "tokens_cache_write": "integer",
    "cost_usd": "numeric",
    "llm_model": "text",
    "status": "character varying(50)",
    "warning": "text",
    "message_preview": "text",
    "response_preview": "text",
    "legacy_id": "bigint",
    "legacy_user_id": "bigint",
}
"""Columns that the ledger adds to `omni2.audit_logs`, with the type where the legacy has none."""

DEFAULT_COLUMNS: tuple[tuple[str, str, str | None], ...] = (
    ("id", "bigint", None),
    ("user_id", "bigint", None),
    ("request_type", "character varying(50)", None),
    ("message", "text", None),
    ("message_preview", "text", None),
    ("iterations", "integer", None),
    ("tool_calls_count", "integer", None),
    ("tools_used", "text[]", None),
    ("mcps_accessed", "text[]", None),
    ("duration_ms", "integer", None),
    ("tokens_input", "integer", None),
    ("tokens_output", "integer", None),
    ("tokens_cached", "integer", None),
    ("cost_estimate", "numeric", None),
    ("status", "character varying(50)", None),
    ("warning", "text", None),
    ("response_preview", "text", None),
    ("ip_address", "inet", None),
    ("user_agent", "text", None),
    ("slack_user_id", "character varying(50)", None),
    ("slack_channel", "character varying(100)", None),
    ("slack_message_ts", "character varying(50)", None),
    ("slack_thread_ts", "character varying(50)", None),
    ("success", "boolean", None),
    ("created_at", "timestamp with time zone", "now()"),
)
"""The columns that the chat writer of the investigation names: the old name where no table was."""

GATEWAY_COLUMNS = (
    "id",
    "user_id",
    "timestamp",
    "question",
    "mcp_target",
    "tool_called",
    "tool_params",
    "success",
    "duration_ms",
    "result_summary",
    "error_message",
    "error_id",
    "slack_channel",
    "slack_user_id",
    "slack_message_ts",
    "slack_thread_ts",
    "llm_confidence",
    "llm_reasoning",
    "llm_tokens_used",
    "ip_address",
    "user_agent",
    "was_blocked",
    "block_reason",
)
"""The columns that `omni2.audit_logs` has from the gateway itself."""

SUMMED = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "cost_usd")
"""The columns whose sums the certificate proves, where the legacy table has them."""

_SEQUENCE = """
    select n.nspname, c.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.oid = pg_get_serial_sequence(%s, 'id')::regclass
"""

_KIND = "select relkind::text from pg_class where oid = to_regclass(%s)"


@dataclass(frozen=True)
class Carried:
    """One legacy column and where the ledger keeps it."""

    name: str
    target: str
    type: str
    default: str | None = None


@dataclass(frozen=True)
class Legacy:
    """The legacy table as it was found, or as the investigation has it where there is none.

    Attributes:
        identity: how its id is an identity column: "a" always, "d" by default, "" not at all.
        sequence: schema and name of the sequence that its id owns.
    """

    schema: str
    columns: tuple[Carried, ...]
    identity: str = ""
    sequence: tuple[str, str] | None = None
    has_table: bool = True

    @property
    def relation(self) -> str:
        """The quoted name that SQL knows it by."""
        schema = self.schema.replace('"', '""')
        return f'"{schema}".{NAME}'

    def target_type(self, target: str) -> str | None:
        """The type of the column that lands in `target`, or None where none does."""
        return next((c.type for c in self.columns if c.target == target), None)

    def named(self, name: str) -> Carried | None:
        """The legacy column of this name."""
        return next((c for c in self.columns if c.name == name), None)


def placed(
    columns: Iterable[tuple[str, str, str | None]], gateway: dict[str, str]
) -> list[Carried]:
    """Give each legacy column its place in the ledger.

    A column goes to the one that means the same. Where that place is taken, or holds another type
    that would change what the old name shows, it goes to a column of its own, `legacy_NAME`.

    Args:
        columns: name, type and default of each legacy column, in order.
        gateway: type of each column that `omni2.audit_logs` had from the beginning.
    """
    columns = list(columns)
    renamed = {RENAMED[name] for name, _, _ in columns if name in RENAMED}
    carried = []
    for name, kind, default in columns:
        target = RENAMED.get(name, name)
        is_taken = name not in RENAMED and target in renamed
        if is_taken or gateway.get(target, kind) != kind:
            target = f"legacy_{name}"
        carried.append(Carried(name, target, kind, default))
    return carried


def inspect(connection: Connection, schema: str) -> Legacy | None:
    """Read the legacy table of `schema`.

    Returns:
        None where the old name is a view already: the merge is behind us.

    Raises:
        NotReadyError: something is there that the merge can't carry; nothing was changed.
    """
    legacy = Legacy(schema, ())
    gateway = {
        column.name: column.type
        for column in read_columns(connection, "omni2.audit_logs")
        if column.name in GATEWAY_COLUMNS
    }
    kind = connection.execute(_KIND, (legacy.relation,)).fetchone()
    if kind is None:
        return Legacy(schema, tuple(placed(DEFAULT_COLUMNS, gateway)), has_table=False)
    if kind[0] == "v":
        return None
    if kind[0] != "r":
        raise obstacles.refusal(legacy.relation, "it is neither a plain table nor a view")
    columns = read_columns(connection, legacy.relation)
    identity = next((column.identity for column in columns if column.name == "id"), "")
    found = Legacy(
        schema, tuple(placed([(c.name, c.type, c.default) for c in columns], gateway)), identity
    )
    obstacles.require_none(connection, found.relation, columns)
    sequence = connection.execute(_SEQUENCE, (found.relation,)).fetchone()
    return replace(found, sequence=(sequence[0], sequence[1]) if sequence else None)
