"""The investigation's questions, each asked of the live database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from omniledger import revisions
from omniledger.certificate import sentence
from omniledger.database import Connection, first_line
from omniledger.inspection.findings import Finding, State
from omniledger.inspection.freshness import freshness
from omniledger.revisions import MERGED_AT
from omniledger.settings import Settings

UPGRADE = "Run `alembic upgrade head`."

MERGE = "Run `omniledger merge run`."

_CLOCK = "select value::timestamptz from ledger.settings where name = 'as_of'"

_COLUMNS = """
    select attname
    from pg_attribute
    where attrelid = to_regclass('omni2.audit_logs') and attnum > 0 and not attisdropped
"""

_WRITTEN = "select count(*), min({at}), max({at}) from {table}"

_QUOTA = """
    select coalesce(sum(llm_tokens_used), 0), coalesce(sum(cost_usd), 0)
    from omni2.audit_logs
    where user_id = 0 and timestamp >= current_date and success = true
"""

_CERTIFICATE = """
    select legacy_table, rows_total, rows_copied, rows_matched, rows_quarantined, users_unmapped,
        holds, detail
    from ledger.merge_runs
    order by id desc
    limit 1
"""

_LAST_RUN = "select verdict, reason, started_at from ledger.runs order by started_at desc limit 1"


class Answer(NamedTuple):
    """How it is, what was seen, and what to do."""

    state: State
    evidence: str
    advice: str = ""


def ask(connection: Connection, settings: Settings) -> list[Finding]:
    """Ask every question; one that the rights don't allow is answered with "cannot tell"."""
    findings = []
    for question, answer in QUESTIONS.items():
        try:
            with connection.transaction():
                findings.append(Finding(question, *answer(connection, settings)))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.QueryCanceled) as error:
            unseen = Answer(State.CANNOT_TELL, first_line(error), "Inspect as the owner.")
            findings.append(Finding(question, *unseen))
    return findings


def _revision(connection: Connection, settings: Settings) -> Answer:
    at, head = revisions.current(connection), revisions.head()
    if at == head:
        return Answer(State.IN_ORDER, f"at revision {at}, the newest")
    return Answer(State.DRIFT, f"at revision {at or 'none'} of {head}", UPGRADE)


def _ledger(connection: Connection, settings: Settings) -> Answer:
    columns = {row[0] for row in connection.execute(_COLUMNS)}
    if not columns:
        return Answer(State.DRIFT, "there is no such table", UPGRADE)
    written = _written(connection, sql.Identifier("omni2", "audit_logs"), "timestamp")
    missing = [c for c in ("tokens_input", "tokens_output", "cost_usd") if c not in columns]
    if missing:
        return Answer(State.DRIFT, f"{written}; it has no {', no '.join(missing)}", UPGRADE)
    return Answer(State.IN_ORDER, f"{written}; tokens are split and costs are kept")


def _quota(connection: Connection, settings: Settings) -> Answer:
    try:
        with connection.transaction():
            connection.execute(_QUOTA)
    except (
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.DatatypeMismatch,
    ) as error:
        return Answer(State.DRIFT, f"it fails: {first_line(error)}", UPGRADE)
    return Answer(State.IN_ORDER, "its query runs")


def _old_name(connection: Connection, settings: Settings) -> Answer:
    table = sql.Identifier(settings.legacy_schema, "audit_logs")
    name = table.as_string(connection)
    kind = _one(connection, "select relkind::text from pg_class where oid = to_regclass(%s)", name)
    if kind is None:
        return Answer(State.DRIFT, f"{name} is not there", UPGRADE)
    if kind == "v":
        return Answer(State.IN_ORDER, f"{name} is a view of the ledger")
    written = _written(connection, table, "created_at")
    advice = _merge_or_upgrade(connection)
    return Answer(State.DRIFT, f"{name} is a second one: {written}", advice)


def _certificate(connection: Connection, settings: Settings) -> Answer:
    try:
        with connection.transaction():
            row = connection.execute(_CERTIFICATE).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        return Answer(State.DRIFT, "nothing was merged yet", _merge_or_upgrade(connection))
    table, total, copied, matched, quarantined, unmapped, holds, detail = row
    if holds is None:
        return Answer(
            State.DRIFT, f"the merge of {table} has not ended", _merge_or_upgrade(connection)
        )
    told = sentence(
        total=total,
        copied=copied,
        matched=matched,
        quarantined=quarantined,
        holds=holds,
        detail=detail,
    )
    evidence = f"{table}: {told}; {unmapped:,} users unknown to the gateway"
    if not holds:
        return Answer(State.DRIFT, evidence, "Run `omniledger merge verify`, which says more.")
    return Answer(State.IN_ORDER, evidence)


def _merge_or_upgrade(connection: Connection) -> str:
    """What is to do where two logs are left: the whole upgrade, or the merge that was put off."""
    at = revisions.current(connection)
    return MERGE if at is not None and at >= MERGED_AT else UPGRADE


def _health(connection: Connection, settings: Settings) -> Answer:
    for table in ("omni2.mcp_health_log", "omni2.mcp_servers"):
        if _one(connection, "select to_regclass(%s)::text", table) is None:
            return Answer(State.DRIFT, f"{table} is not there", UPGRADE)
    servers = freshness(connection, _now(connection), settings)
    missed = [server for server in servers if server.is_missed]
    if not missed:
        last = max((server.last_at for server in servers if server.last_at), default=None)
        seen = f", the last at {last:%Y-%m-%d %H:%M}" if last else ""
        return Answer(State.IN_ORDER, f"{len(servers):,} servers, none is silent{seen}")
    told = ", ".join(map(str, missed[:5]))
    more = f" and {len(missed) - 5:,} more" if len(missed) > 5 else ""
    advice = "Look whether the gateway's health check task runs."
    evidence = f"{len(missed):,} of {len(servers):,} servers are silent: {told}{more}"
    return Answer(State.DRIFT, evidence, advice)


def _published(connection: Connection, settings: Settings) -> Answer:
    try:
        with connection.transaction():
            row = connection.execute(_LAST_RUN).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        return Answer(State.DRIFT, "no run yet", "Run `omniledger run`.")
    verdict, reason, at = row
    evidence = f"the run of {at:%Y-%m-%d %H:%M} was {verdict}"
    if verdict == "published":
        return Answer(State.IN_ORDER, evidence)
    advice = "Mend what it names and run `omniledger run`."
    return Answer(State.DRIFT, f"{evidence}: {reason}", advice)


def _written(connection: Connection, table: sql.Identifier, at: str) -> str:
    query = sql.SQL(_WRITTEN).format(table=table, at=sql.Identifier(at))
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedColumn:
        if at == "timestamp":
            raise
        # An old table of the first days calls its time as the gateway does.
        return _written(connection, table, "timestamp")
    if row is None or row[0] == 0:
        return "0 rows"
    return f"{row[0]:,} rows, the last of {row[2]:%Y-%m-%d %H:%M}" if row[2] else f"{row[0]:,} rows"


def _now(connection: Connection) -> datetime:
    """The database's clock, or the moment at which a sample database's clock stands."""
    try:
        with connection.transaction():
            stopped = _one(connection, _CLOCK)
    except psycopg.errors.UndefinedTable:
        stopped = None
    now: datetime = stopped or _one(connection, "select now()")
    return now


def _one(connection: Connection, query: str, *values: object) -> Any:
    row = connection.execute(query.encode(), values or None).fetchone()
    return None if row is None else row[0]


QUESTIONS: dict[str, Callable[[Connection, Settings], Answer]] = {
    "Is the schema upgraded?": _revision,
    "What is in omni2.audit_logs?": _ledger,
    "Does the quota check work?": _quota,
    "Is there one audit log?": _old_name,
    "Is every old row accounted for?": _certificate,
    "Are health checks running?": _health,
    "Are figures published?": _published,
}
