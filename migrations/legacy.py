"""What the legacy audit table looks like, and where each of its columns goes in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from omniledger.database import Connection
from omniledger.errors import NotReadyError

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

_COLUMNS = """
    select
        a.attname as name,
        format_type(a.atttypid, a.atttypmod) as type,
        pg_get_expr(d.adbin, d.adrelid) as default_value,
        a.attidentity::text as identity,
        a.attgenerated::text as generated
    from pg_attribute as a
    left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
    where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""

_SEQUENCE = """
    select n.nspname, c.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.oid = pg_get_serial_sequence(%s, 'id')::regclass
"""

_KIND = "select relkind::text from pg_class where oid = to_regclass(%s)"

_OBSTACLES = """
    with legacy as (select to_regclass(%s) as oid)
    select 'the view ' || v.oid::regclass || ' reads it'
    from pg_depend as d
    inner join pg_rewrite as r on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass
    inner join pg_class as v on r.ev_class = v.oid
    inner join legacy on d.refobjid = legacy.oid
    where v.oid <> legacy.oid
    union all
    select 'the foreign key ' || c.conname || ' of ' || c.conrelid::regclass || ' references it'
    from pg_constraint as c
    inner join legacy on c.confrelid = legacy.oid
    where c.contype = 'f'
    union all
    select 'it has the rule ' || r.rulename
    from pg_rewrite as r
    inner join legacy on r.ev_class = legacy.oid
    union all
    select 'it has the trigger ' || t.tgname
    from pg_trigger as t
    inner join legacy on t.tgrelid = legacy.oid
    where not t.tgisinternal and t.tgname not like 'omniledger\\_%%'
    union all
    select 'it has row level security'
    from pg_class as c
    inner join legacy on c.oid = legacy.oid
    where c.relrowsecurity
    union all
    select 'it is part of the publication ' || p.pubname
    from pg_publication_rel as pr
    inner join pg_publication as p on pr.prpubid = p.oid
    inner join legacy on pr.prrelid = legacy.oid
    union all
    select 'it is partitioned or has a parent or a child'
    from legacy
    where exists (
        select from pg_inherits as i where legacy.oid in (i.inhrelid, i.inhparent)
    )
"""


@dataclass(frozen=True)
class Column:
    """A column as the catalog has it."""

    name: str
    type: str
    default: str | None
    identity: str
    generated: str


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


def read_columns(connection: Connection, relation: str) -> list[Column]:
    """The columns of a table, in order; none where there is no such table."""
    return [Column(*row) for row in connection.execute(_COLUMNS, (relation,)).fetchall()]


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
        raise _refusal(legacy, "it is neither a plain table nor a view")
    columns = read_columns(connection, legacy.relation)
    identity = next((column.identity for column in columns if column.name == "id"), "")
    found = Legacy(
        schema, tuple(placed([(c.name, c.type, c.default) for c in columns], gateway)), identity
    )
    _check(connection, found, columns)
    sequence = connection.execute(_SEQUENCE, (found.relation,)).fetchone()
    return replace(found, sequence=(sequence[0], sequence[1]) if sequence else None)


def _check(connection: Connection, legacy: Legacy, columns: list[Column]) -> None:
    by_name = {column.name: column.type for column in columns}
    if by_name.get("id") not in ("integer", "bigint"):
        raise _refusal(legacy, "its column id is no integer")
    for needed in ("user_id", "message", "created_at"):
        if needed not in by_name:
            raise _refusal(legacy, f"it has no column {needed}")
    if by_name["created_at"] != "timestamp with time zone":
        raise _refusal(legacy, f"its column created_at is {by_name['created_at']}")
    if by_name.get("cost_estimate", "numeric").partition("(")[0] != "numeric":
        raise _refusal(legacy, f"its column cost_estimate is {by_name['cost_estimate']}")
    generated = next((column.name for column in columns if column.generated), None)
    if generated is not None:
        raise _refusal(legacy, f"its column {generated} is generated")
    obstacle = connection.execute(_OBSTACLES, (legacy.relation,)).fetchone()
    if obstacle is not None:
        raise _refusal(legacy, obstacle[0])


def _refusal(legacy: Legacy, why: str) -> NotReadyError:
    return NotReadyError(
        f"The old audit table {legacy.relation} can't be merged yet, because {why}; nothing was "
        "changed: see what to do in docs/operations.md, under 'What stops an upgrade'."
    )
