"""What the legacy audit table looks like, and where each of its columns goes in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from migrations import hand_made, obstacles
from migrations.bounds import bounds
from migrations.columns import Column, read_columns
from migrations.fingerprint import read_fingerprint
from migrations.gateway import LEDGER, require_fit
from migrations.keys import read_keys, set_apart
from migrations.memory import remembered
from migrations.placing import ADDED_COLUMNS, OURS, RENAMED, Carried, ledger_type, placed
from migrations.references import referring_columns
from migrations.rights import require_neighbours, require_owner, require_views
from migrations.taken import require_none_taken
from omniledger.catalog import kind_of
from omniledger.database import Connection
from omniledger.errors import SettingsError
from omniledger.settings import get_settings

__all__ = ["ADDED_COLUMNS", "RENAMED", "Carried", "Legacy", "inspect"]

NAME = "audit_logs"
"""The name under which the legacy table is written, without a schema."""

ARCHIVE = "audit_logs_legacy"
"""Its name in the schema `ledger` once it is merged."""

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

_TAKEN = {
    "omni2": "the ledger itself",
    "ledger": "the upgrade's own tables",
    "analytics": "the published figures",
    "analytics_build": "the figures that a run builds",
    "auth_service": "the gateway's users",
    "information_schema": "the server",
}
"""Whose the schemas are in which no chat writer's table can be."""

_SEQUENCE = """
    select n.nspname, c.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.oid = pg_get_serial_sequence(%s, 'id')::regclass
"""


@dataclass(frozen=True)
class Legacy:
    """The legacy table as it was found, or as the investigation has it where there is none.

    Attributes:
        identity: how its id is an identity column: "a" always, "d" by default, "" not at all.
        sequence: schema and name of the sequence that its id owns.
        fingerprint: of all that the catalog has of it, so that a change is noticed.
    """

    schema: str
    columns: tuple[Carried, ...]
    identity: str = ""
    sequence: tuple[str, str] | None = None
    has_table: bool = True
    fingerprint: str = field(default="", compare=False)

    @property
    def relation(self) -> str:
        """The quoted name that SQL knows it by."""
        schema = self.schema.replace('"', '""')
        return f'"{schema}".{NAME}'

    @property
    def made_sequence(self) -> tuple[str, str]:
        """Schema and name of the sequence that the upgrade makes where there was no table."""
        return self.schema, f"{NAME}_id_seq"

    @property
    def id_sequence(self) -> tuple[str, str] | None:
        """That of the sequence that the old name draws its ids from.

        A table whose ids the application counts itself has none.
        """
        return self.sequence or (None if self.has_table else self.made_sequence)

    @property
    def derived(self) -> tuple[Carried, ...]:
        """The columns that the ledger also keeps converted, in its column of the same meaning."""
        return tuple(column for column in self.columns if column.derives)

    @property
    def places(self) -> dict[str, str]:
        """Each column of the ledger that the old rows need, with the type where it is made anew."""
        derived = {c.derives: ledger_type(c.derives, c.type) for c in self.derived}
        # The old name must go on showing each column in the type that it had.
        return derived | {c.target: c.type for c in self.columns}

    @cached_property
    def by_meaning(self) -> dict[str, Carried]:
        """By each column of the ledger the legacy one that gives its value."""
        direct = {column.target: column for column in self.columns}
        return direct | {column.derives: column for column in self.derived}

    def named(self, name: str) -> Carried | None:
        """The legacy column of this name."""
        return next((c for c in self.columns if c.name == name), None)


def inspect(connection: Connection, schema: str, *, must_own: bool = True) -> Legacy | None:
    """Read the legacy table of `schema`.

    Args:
        must_own: whether to refuse tables that we may not change; who only looks need not.

    Returns:
        None where the old name is our view already: the merge is behind us.

    Raises:
        NotReadyError: something is there that the merge can't carry, or that the gateway's tables
            can't be upgraded with, or we may not do it; nothing was changed.
        SettingsError: the schema is not there, or is somebody else's.
    """
    legacy = Legacy(schema, ())
    fingerprint = read_fingerprint(connection, legacy.relation)
    require_schema(connection, schema)
    require_none_taken(connection)
    require_fit(connection)
    kind = kind_of(connection, legacy.relation)
    if kind == "v":
        obstacles.require_our_view(connection, legacy.relation, f"{schema}.{NAME}")
        return None
    ledger = hand_made.planned_types(connection)
    if kind is None:
        usual = [(n, ledger.get(RENAMED.get(n, n), t), d) for n, t, d in DEFAULT_COLUMNS]
        return Legacy(schema, tuple(placed(usual, ledger)), has_table=False)
    if kind != "r":
        raise obstacles.refusal(legacy.relation, obstacles.KINDS[kind])
    columns = read_columns(connection, legacy.relation)
    timezone = get_settings().legacy_timezone
    described = [(c.name, c.type, c.default) for c in columns]
    keys = list(read_keys(connection, legacy.relation))
    found = placed(described, ledger, timezone)
    apart = set_apart(
        keys,
        referring_columns(connection, legacy.relation),
        found,
        _shared(ledger, remembered(connection, "added_columns")),
    )
    found = placed(described, ledger, timezone, apart)
    legacy = replace(legacy, columns=tuple(_completed(found, columns)))
    if must_own:
        require_owner(connection, legacy.relation)
        require_views(connection, legacy.relation)
        require_neighbours(connection, legacy.relation)
    obstacles.require_none(connection, legacy.relation, columns, legacy.by_meaning, keys)
    for why in bounds(connection, legacy.relation, legacy.places):
        raise obstacles.refusal(LEDGER, why)
    sequence = connection.execute(_SEQUENCE, (legacy.relation,)).fetchone()
    return replace(
        legacy,
        fingerprint=fingerprint,
        identity=next((column.identity for column in columns if column.name == "id"), ""),
        sequence=(sequence[0], sequence[1]) if sequence else None,
    )


def _shared(ledger: Mapping[str, str], added: set[str]) -> set[str]:
    """The columns of the ledger in which rows of the gateway's may have a value.

    They have none in one that is there for the old name alone.
    """
    return {*GATEWAY_COLUMNS, *ADDED_COLUMNS, *(ledger.keys() - added)} - set(OURS)


def _completed(found: list[Carried], columns: list[Column]) -> list[Carried]:
    """What the catalog calls the default of a generated column is its expression."""
    return [
        replace(carried, default=None, generated=column.default or "")
        if column.generated
        else carried
        for carried, column in zip(found, columns, strict=True)
    ]


def require_schema(connection: Connection, schema: str) -> None:
    """Refuse a schema of the old table that can't be it.

    Raises:
        SettingsError: it is not there, or somebody else's, or has a name that SQL can't be given.
    """
    if "%" in schema:
        raise SettingsError(
            f"OMNILEDGER_LEGACY_SCHEMA is wrong: the name of the schema {schema} has a per cent "
            "sign, which the merge can't carry; rename the schema, and say so to the chat writer."
        )
    owner = "the server" if schema.startswith("pg_") else _TAKEN.get(schema)
    if owner is not None:
        raise SettingsError(
            f"OMNILEDGER_LEGACY_SCHEMA is wrong: {schema} is the schema of {owner}; name the "
            "one of the audit table that the chat writer writes without a schema."
        )
    if connection.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone():
        return
    raise SettingsError(
        f"OMNILEDGER_LEGACY_SCHEMA is wrong: there is no schema {schema}; name the one of the "
        "audit table that the chat writer writes without a schema."
    )
