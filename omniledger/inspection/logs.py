"""Which audit logs there are, what is in them, and whether the one became the other."""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from omniledger.certificate import sentence
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import LEDGER, UPGRADE, Look, TooDear
from omniledger.merging.verifying import reads_ledger
from omniledger.moments import in_utc

# What no datetime can be would stand for the whole log: the zero of a program, or for ever.
_DATED = "{at} >= '0001-01-01' and {at} < '10000-01-01'"

_ENDS = f"select min({{at}}), max({{at}}) from {{table}} where {_DATED}"  # noqa: S608 (no values)

# That of the newest row, unless a thousand are dated so.
_NEWEST = f"""
    select
        null::timestamptz,
        (
            select {{at}}
            from (select id, {{at}} from {{table}} order by id desc limit 1000) as newest
            where {_DATED}
            order by id desc
            limit 1
        )
"""  # noqa: S608 (no value of anybody's in it)

_UNDATED = "select count(*) from {table} where {at} < '0001-01-01' or {at} >= '10000-01-01'"

_CERTIFICATE = """
    select legacy_table, rows_total, rows_copied, rows_matched, rows_quarantined, users_unmapped,
        holds, detail
    from ledger.merge_runs
    order by id desc
    limit 1
"""


def ledger(look: Look) -> Answer:
    """What the gateway's log holds, and whether it can hold tokens and costs."""
    columns = look.columns(LEDGER)
    if not columns:
        return Answer(State.DRIFT, "there is no such table", "Nothing is logged.", UPGRADE)
    evidence, figures = written(look, LEDGER, columns)
    missing = [c for c in ("tokens_input", "tokens_output", "cost_usd") if c not in columns]
    if missing:
        return Answer(
            State.DRIFT,
            f"{evidence}; it has no {', no '.join(missing)}",
            "What a request cost is not in the log that the quota check reads.",
            UPGRADE,
            figures,
        )
    return Answer(
        State.IN_ORDER, f"{evidence}; tokens are split and costs are kept", figures=figures
    )


def old_name(look: Look) -> Answer:
    """Whether the name without a schema is a second log, or a view of the one."""
    name = sql.Identifier(*look.old_name).as_string(look.connection)
    kind = look.kind(look.old_name)
    if kind is None:
        return Answer(
            State.DRIFT,
            f"{name} is not there",
            "The chat writer, which swallows errors, loses what it logs.",
            look.way_on,
        )
    if kind == "v" and look.kind(LEDGER) is not None and reads_ledger(look.connection, name):
        return Answer(State.IN_ORDER, f"{name} is a view of the ledger")
    if kind == "v":
        return Answer(
            State.DRIFT,
            f"{name} is a view, and not of the ledger",
            "What the chat writer logs goes somewhere else.",
            "Rename it, and see `omniledger merge verify`.",
        )
    evidence, figures = written(look, look.old_name, look.columns(look.old_name))
    return Answer(
        State.DRIFT,
        f"{name} is a second one: {evidence}",
        "Tokens and costs are in one log, and the quota check reads the other.",
        look.way_on,
        figures,
    )


def written(
    look: Look, name: tuple[str, str], columns: dict[str, str]
) -> tuple[str, tuple[Figure, ...]]:
    """How many rows a log has, and from when to when."""
    count = look.count(name)
    figures = [Figure.of("rows", count)]
    if not count.rows:
        return "0 rows", tuple(figures)
    # An old table of the first days calls its time as the gateway does.
    at = next((c for c in ("created_at", "timestamp") if c in columns), None)
    first = last = None
    undated = 0
    if at is not None and columns[at].startswith("timestamp"):
        first, last, undated = _times(look, name, at)
    figures += [Figure("first row", _moment(first)), Figure("last row", _moment(last))]
    told = f", the last of {_moment(last)}" if last is not None else ""
    if undated:
        figures.append(Figure("rows dated beyond the calendar", undated))
        told += f"; {undated:,} of them with a time that is infinite, BC or after the year 9999"
    return f"{count} rows{told}", tuple(figures)


def _times(
    look: Look, name: tuple[str, str], at: str
) -> tuple[datetime | None, datetime | None, int]:
    """The first and the last time of a log, and how many rows have one that is no datetime."""
    parts = {"at": sql.Identifier(at), "table": sql.Identifier(*name)}
    try:
        [(first, last)] = look.rows(sql.SQL(_ENDS).format(**parts))
    except TooDear:
        [(first, last)] = look.rows(sql.SQL(_NEWEST).format(**parts))
    try:
        [(undated,)] = look.rows(sql.SQL(_UNDATED).format(**parts))
    except TooDear:
        undated = 0
    return first, last, undated


def _moment(at: datetime | None) -> str | None:
    """A time of a log, which may say no zone."""
    if at is None:
        return None
    return at.isoformat(" ", "minutes") if at.tzinfo is None else in_utc(at)


def certificate(look: Look) -> Answer:
    """What the merge proved."""
    row = look.row_if_there(_CERTIFICATE)
    if row is None:
        return Answer(State.DRIFT, "nothing was merged yet", advice=look.way_on)
    table, total, copied, matched, quarantined, unmapped, holds, detail = row
    if holds is None:
        return Answer(State.DRIFT, f"the merge of {table} has not ended", advice=look.way_on)
    told = sentence(
        total=total,
        copied=copied,
        matched=matched,
        quarantined=quarantined,
        holds=holds,
        detail=detail,
    )
    figures = (
        Figure("old rows", total),
        Figure("copied", copied),
        Figure("matched", matched),
        Figure("in quarantine", quarantined),
        Figure("users unknown when it was certified", unmapped),
    )
    if not holds:
        return Answer(
            State.DRIFT,
            f"{table}: {told}",
            "A row may have been lost or changed; the old table is whole in the archive.",
            "Run `omniledger merge verify`, which says more.",
            figures,
        )
    return Answer(State.IN_ORDER, f"{table}: {told}", figures=figures)
