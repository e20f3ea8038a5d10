"""Where each column of the legacy table goes in the ledger, and in which type.

A column keeps under the old name the type that it had. Where the ledger's column of the same
meaning has another type, the legacy column gets one of its own, `legacy_NAME`, which the old name
reads and writes, and the ledger's is derived from it by a formula that never fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migrations.identifiers import shortened

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

OURS = ("source_system", "change_xid", "legacy_id", "legacy_user_id")
"""Columns of the ledger whose meaning is the upgrade's own, so that nobody else's may be there."""

_FAMILIES = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "numeric",
    "text[]": "text[]",
    "character varying[]": "text[]",
    "timestamp without time zone": "local time",
    "timestamp with time zone": "time",
}

_NUMBER = "'^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{{1,2}})?[[:space:]]*$'"
"""Without a backslash, which a session may read in one of two ways."""

_TO_NUMERIC = {
    "numeric": "{0}::numeric",
    "smallint": "{0}::numeric",
    "integer": "{0}::numeric",
    "bigint": "{0}::numeric",
    "money": "{0}::numeric",
    # By way of the text, which is the shortest decimal that is this float and no other.
    "real": "case when {0} in ('Infinity', '-Infinity') then 'NaN'::numeric"
    " else {0}::text::numeric end",
    "double precision": "case when {0} in ('Infinity', '-Infinity') then 'NaN'::numeric"
    " else {0}::text::numeric end",
    "text": f"case when {{0}} ~ {_NUMBER} then {{0}}::numeric end",
    "character varying": f"case when {{0}} ~ {_NUMBER} then {{0}}::numeric end",
    "character": f"case when {{0}} ~ {_NUMBER} then {{0}}::text::numeric end",
}

_RANGES = {
    "smallint": "between -32768 and 32767",
    "integer": "between -2147483648 and 2147483647",
    "bigint": "between -9223372036854775808 and 9223372036854775807",
}


@dataclass(frozen=True)
class Carried:
    """One legacy column and where the ledger keeps it.

    Attributes:
        default: the default that the old name gives it.
        generated: the expression of a generated column, in the legacy table's names.
        derives: the ledger's column of the same meaning that is computed from this one, or "".
        formula: how, with `{0}` for the value.
    """

    name: str
    target: str
    type: str
    default: str | None = None
    generated: str = ""
    derives: str = ""
    formula: str = ""


def bare(kind: str) -> str:
    """A type without its modifier."""
    head, opening, rest = kind.partition("(")
    return head + rest.partition(")")[2] if opening else kind


def is_alike(one: str, other: str) -> bool:
    """Whether two types hold the same kind of value."""
    return bare(one) == bare(other) or (
        bare(one) in _FAMILIES and _FAMILIES[bare(one)] == _FAMILIES.get(bare(other))
    )


def formula(kind: str, wanted: str, timezone: str) -> str:
    """SQL that turns a value `{0}` of one type into another and never fails; "" for none.

    Args:
        kind: the type that there is.
        wanted: the type that is wanted.
        timezone: the zone that a time without one is read in.
    """
    source, target = bare(kind), bare(wanted)
    if target == "numeric" and "(" not in wanted:
        return _TO_NUMERIC.get(source, "")
    if target in _RANGES:
        number = _TO_NUMERIC.get(source, "")
        in_range = f"{number} {_RANGES[target]}"
        return number and f"case when {in_range} then ({number})::{target} end"
    if wanted == "text" and _FAMILIES.get(source) == "text":
        return "{0}::text"
    if wanted == "timestamp with time zone":
        zone = timezone.replace("'", "''").replace("{", "").replace("}", "")
        return {
            "timestamp with time zone": "{0}::timestamp with time zone",
            "timestamp without time zone": f"({{0}} at time zone '{zone}')",
            "date": f"({{0}}::timestamp at time zone '{zone}')",
        }.get(source, "")
    return ""


def ledger_type(target: str, kind: str) -> str:
    """The type that the ledger gives a column that it has not yet, for a legacy column's type."""
    usual = ADDED_COLUMNS.get(target)
    return kind if usual is None or target in OURS or is_alike(kind, usual) else usual


def placed(
    columns: Iterable[tuple[str, str, str | None]],
    ledger: Mapping[str, str],
    timezone: str = "UTC",
    apart: frozenset[str] = frozenset(),
) -> list[Carried]:
    """Give each legacy column its place in the ledger.

    Args:
        columns: name, type and default of each legacy column, in order.
        ledger: type of each column that `omni2.audit_logs` has.
        timezone: the zone that a legacy time without one is read in.
        apart: the legacy columns that get a place of their own though the ledger has their type.
    """
    columns = list(columns)
    renamed = {RENAMED[name] for name, _, _ in columns if name in RENAMED}
    taken: set[str] = set()
    carried = []
    for name, kind, default in columns:
        meant = RENAMED.get(name, name)
        if name not in RENAMED and meant in {*renamed, *OURS}:
            # Another column means this, or the ledger's column means something else.
            meant = ""
        wanted = ledger.get(meant) or ledger_type(meant, kind)
        if meant and meant not in taken and wanted == kind and name not in apart:
            carried.append(Carried(name, meant, kind, default))
            taken.add(meant)
            continue
        target = _own_place(name, kind, {*taken, *renamed, *OURS}, ledger)
        taken.add(target)
        how = formula(kind, wanted, timezone) if meant else ""
        if meant and wanted == kind:
            how = "{0}"
        carried.append(
            Carried(name, target, kind, default, derives=meant if how else "", formula=how)
        )
    return carried


def _own_place(name: str, kind: str, taken: set[str], ledger: Mapping[str, str]) -> str:
    target = name
    while True:
        target = shortened(f"legacy_{target}")
        if target not in taken and ledger.get(target, kind) == kind:
            return target
