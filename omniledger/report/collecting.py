"""Read the report's figures from the published marts, all in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from omniledger.errors import DatabaseError, NotReadyError
from omniledger.explaining import first_line
from omniledger.report import (
    billing,
    cubes,
    durations,
    health,
    history,
    hours,
    keeping,
    queries,
    quota,
    servers,
    terms,
)
from omniledger.report.billing import BillFigures
from omniledger.report.durations import Durations
from omniledger.report.figures import (
    Gate,
    GateResult,
    Merge,
    MergeSum,
    Quarantined,
    ToolRow,
    Usage,
    UsageFigures,
    UsageRow,
)
from omniledger.report.formats import count, plural, usd, visible
from omniledger.report.health import HealthFigures
from omniledger.report.history import GateHistory
from omniledger.report.hours import Hours
from omniledger.report.keeping import Alerts, Revision, Runs
from omniledger.report.quota import QuotaFigures
from omniledger.report.servers import ServerCost
from omniledger.report.snapshot import Row, Snapshot
from omniledger.roles import require_no_superuser

DAYS_SHOWN = 92
"""Days of usage shown one by one; older ones are summed."""

MEMBERS_SHOWN = 25
"""Models, users, sources and tools shown by name; the others are summed."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that one report shows, read in one snapshot."""

    read_at: datetime
    as_of: datetime | None
    timezone: str
    default_model: str
    demo_note: str
    usage: UsageFigures | None
    tools: tuple[ToolRow, ...]
    servers: tuple[ServerCost, ...]
    quota: QuotaFigures | None
    bill: BillFigures | None
    health: HealthFigures | None
    runs: Runs
    durations: Durations
    alerts: Alerts
    revisions: tuple[Revision, ...]
    gate: Gate | None
    merge: Merge | None
    quarantine: tuple[Quarantined, ...]
    definitions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What each column of a mart means, by mart and column."""
    hours: Hours = field(default_factory=Hours)
    history: GateHistory = field(default_factory=GateHistory)
    cubes: Mapping[str, Any] = field(default_factory=dict)
    """What a reader can filter, by name."""


def collect(connection: psycopg.Connection[Any], *, show_emails: bool = False) -> Figures:
    """Read all figures in one read-only snapshot; what isn't published yet is empty.

    Users are told by name, else by number; `show_emails` adds their e-mail addresses.

    Raises:
        ValueError: the connection is inside a transaction, so its snapshot is an older one.
        DatabaseError: the marts can't be read.
        NotReadyError: this login may not read them, or is a superuser where others own them.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise ValueError("figures are read outside of a transaction, to be of one snapshot")
    try:
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            require_no_superuser(connection)
            return _figures(Snapshot(connection, show_emails=show_emails))
    except psycopg.Error as error:
        is_forbidden = isinstance(error, psycopg.errors.InsufficientPrivilege)
        raise (NotReadyError if is_forbidden else DatabaseError)(
            f"The report can't read the published figures ({first_line(error)}); "
            "`omniledger inspect` says what is missing."
        ) from error


def totals(figures: Figures) -> dict[str, str]:
    """The headline figures, named and written as on the page; none before the first publishing."""
    if figures.usage is None:
        return {}
    total = figures.usage.total
    return {
        "requests": count(total.requests),
        "input tokens": count(total.tokens_input),
        "output tokens": count(total.tokens_output),
        "cached tokens": count(total.tokens_cached),
        "cost recorded": usd(total.cost_recorded_usd),
        "cost recomputed": usd(total.cost_recomputed_usd),
        "difference": usd(total.cost_difference_usd, plus=True),
    }


def _figures(snapshot: Snapshot) -> Figures:
    return Figures(
        read_at=snapshot.read_at,
        as_of=snapshot.as_of,
        timezone=visible(snapshot.settings.get("reporting_timezone") or "UTC"),
        default_model=visible(snapshot.settings.get("default_model") or ""),
        demo_note=snapshot.settings.get("demo_note") or "",
        usage=_usage(snapshot),
        tools=_tools(snapshot),
        servers=servers.read(snapshot),
        quota=quota.read(snapshot),
        bill=billing.read(snapshot),
        health=health.read(snapshot),
        runs=keeping.read_runs(snapshot),
        durations=durations.read(snapshot, keeping.RUNS_SHOWN),
        alerts=keeping.read_alerts(snapshot),
        revisions=keeping.read_revisions(snapshot),
        gate=_gate(snapshot),
        merge=_merge(snapshot),
        quarantine=_quarantine(snapshot),
        definitions=terms.read(snapshot),
        hours=hours.read(snapshot),
        history=history.read(snapshot),
        cubes=cubes.read(snapshot),
    )


def _usage(snapshot: Snapshot) -> UsageFigures | None:
    mart = "analytics.fct_daily_usage"
    rows = snapshot.rows(mart, queries.USAGE, days=DAYS_SHOWN, members=MEMBERS_SHOWN)
    total = next((row for row in rows if row["side"] == "total"), None)
    if total is None or total["first_day"] is None:
        return None
    counts = snapshot.rows(mart, queries.USAGE_COUNTS)[0]
    users = _users(
        snapshot, [int(r["member"]) for r in rows if r["side"] == "user" and r["member"]]
    )
    return UsageFigures(
        total=_sums(total),
        first_day=total["first_day"],
        last_day=total["last_day"],
        days=total["days"],
        models=counts["models"],
        users=counts["users"],
        by_day=tuple(_usage_row(r, users) for r in rows if r["side"] == "day"),
        by_model=tuple(_usage_row(r, users) for r in rows if r["side"] == "model"),
        by_user=tuple(_usage_row(r, users) for r in rows if r["side"] == "user"),
        by_source=tuple(_usage_row(r, users) for r in rows if r["side"] == "source"),
    )


def _sums(row: Row) -> Usage:
    return Usage(**{one.name: row[one.name] for one in fields(Usage)})


def _users(snapshot: Snapshot, ids: list[int]) -> dict[str, tuple[str, str]]:
    """Name and detail by user id."""
    rows = snapshot.rows("analytics.dim_users", queries.USERS, ids=ids)
    return {str(row["user_id"]): snapshot.person(row) for row in rows}


def _usage_row(row: Row, users: Mapping[str, tuple[str, str]]) -> UsageRow:
    side, member, usage = row["side"], row["member"], _sums(row)
    if row["members"] > 1:
        older = plural(row["members"], "older day") if side == "day" else ""
        return UsageRow("", older or plural(row["members"], f"other {side}"), usage, is_rest=True)
    if side == "day":
        day = row["first_day"]
        return UsageRow(day.isoformat(), day.isoformat(), usage, day=day)
    if side == "user":
        unnamed = "unknown user" if member is None else f"user {member}"
        name, detail = users.get(member, (unnamed, ""))
        return UsageRow(member or "", name, usage, detail=detail)
    return UsageRow(visible(member or ""), visible(member or "not stated"), usage)


def _tools(snapshot: Snapshot) -> tuple[ToolRow, ...]:
    mart = "analytics.fct_daily_tool_usage"
    return tuple(
        ToolRow(
            server="" if row["members"] > 1 else visible(row["mcp_server"] or "not stated"),
            tool=(
                plural(row["members"], "other tool")
                if row["members"] > 1
                else visible(row["tool"] or "not stated")
            ),
            calls=row["calls"],
            errors=row["errors"],
            blocked=row["blocked"],
            users=row["users"],
            p50_duration_ms=row["p50_duration_ms"],
            p95_duration_ms=row["p95_duration_ms"],
            is_rest=row["members"] > 1,
        )
        for row in snapshot.rows(mart, queries.TOOLS, members=MEMBERS_SHOWN)
    )


def _gate(snapshot: Snapshot) -> Gate | None:
    rows = snapshot.rows("ledger.gate_results", queries.GATE)
    if not rows:
        return None
    return Gate(
        judged_at=rows[0]["judged_at"],
        results=tuple(
            GateResult(
                suite=visible(row["suite"]),
                expectation=visible(row["expectation"]),
                column=visible(row["column_name"]),
                severity=row["severity"],
                passed=row["passed"],
                observed=visible(row["observed"]),
                unexpected=row["unexpected_count"],
                samples=row["samples"],
            )
            for row in rows
        ),
    )


def _merge(snapshot: Snapshot) -> Merge | None:
    row = next(iter(snapshot.rows("ledger.merge_runs", queries.MERGE)), None)
    if row is None:
        return None
    sums = tuple(
        MergeSum(visible(name), _decimal(both.get("legacy")), _decimal(both.get("ledger")))
        for name, both in row["sums"].items()
    )
    texts = {name: visible(row[name]) for name in ("legacy_table", "checksum", "detail")}
    return Merge(**{**row, **texts, "sums": sums})


def _decimal(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))


def _quarantine(snapshot: Snapshot) -> tuple[Quarantined, ...]:
    return tuple(
        Quarantined(visible(row["reason"]) or "no reason given", row["rows"])
        for row in snapshot.rows("ledger.audit_quarantine", queries.QUARANTINE)
    )
