"""What the gateway's own tables must be like, looked at before an upgrade changes anything."""

from __future__ import annotations

from collections.abc import Iterator

from migrations.columns import read_columns
from migrations.obstacles import KINDS, family, refusal
from omniledger.catalog import kind_of
from omniledger.database import Connection

_INTEGER = ("integer", "bigint", "smallint")
_TEXT = ("text", "character varying", "character")
_TIME = ("timestamp with time zone",)
_BOOLEAN = ("boolean",)
_ANY: tuple[str, ...] = ()
"""What is cast where it is read: a status that is an enumeration, say."""

_NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "omni2.audit_logs": {
        "id": _INTEGER,
        "user_id": _INTEGER,
        "timestamp": _TIME,
        "question": _TEXT,
        "mcp_target": _TEXT,
        "tool_called": _ANY,
        "tool_params": _ANY,
        "success": _BOOLEAN,
        "duration_ms": _ANY,
        "result_summary": _ANY,
        "error_message": _ANY,
        "llm_tokens_used": _ANY,
        "was_blocked": _BOOLEAN,
    },
    "omni2.mcp_health_log": {
        "id": _INTEGER,
        "mcp_server_id": _INTEGER,
        "timestamp": _TIME,
        "status": _ANY,
        "response_time_ms": _ANY,
        "error_message": _ANY,
        "meta_data": _ANY,
        "event_type": _ANY,
    },
    "omni2.mcp_servers": {"id": _INTEGER, "name": _TEXT},
    "auth_service.users": {"id": _INTEGER, "email": _ANY},
}
"""What is read of each table, and the types it may have."""

_CHANGED = ("omni2.audit_logs", "omni2.mcp_health_log")
"""Those that get columns, triggers and indexes; what is only read may be a view, too."""


def require_fit(connection: Connection) -> None:
    """Refuse gateway tables that can't be upgraded, or that the ledger couldn't be read from.

    Raises:
        NotReadyError: the sentence names the first thing; nothing was changed.
    """
    for table in _NEEDED:
        for why in _unfit(connection, table):
            raise refusal(table, why)


def _unfit(connection: Connection, table: str) -> Iterator[str]:
    kind = kind_of(connection, table)
    if kind is None:
        return  # The first revision makes it.
    if table in _CHANGED:
        if kind != "r":
            yield {**KINDS, "v": "it is a view"}[kind]
        yield from family(connection, table)
    types = {column.name: column.type for column in read_columns(connection, table)}
    for name, allowed in _NEEDED[table].items():
        if name not in types:
            yield f"it has no column {name}"
        elif allowed and types[name].partition("(")[0] not in allowed:
            yield f"its column {name} is {types[name]}, not {allowed[0]}"
