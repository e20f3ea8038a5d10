"""Read the report's figures from the published marts, all in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from omniledger.database import first_line
from omniledger.errors import DatabaseError
from omniledger.report import queries
from omniledger.report.figures import (
    Figures,
    Gate,
    GateResult,
    HealthFigures,
    Merge,
    MergeSum,
    Run,
    Runs,
    ServerHealth,
    ToolRow,
    Usage,
    UsageFigures,
    UsageRow,
)
from omniledger.report.formats import count, plural, usd, visible

DAYS_SHOWN = 92
"""Days of usage shown one by one; older ones are summed."""

MEMBERS_SHOWN = 25
"""Models, users, sources and tools shown by name; the others are summed."""

HEALTH_DAYS_SHOWN = 30

RUNS_SHOWN = 10

Row = Mapping[str, Any]


def collect(connection: psycopg.Connection[Any]) -> Figures:
    """Read all figures in one read-only snapshot; what isn't published yet is empty.

    Raises:
        ValueError: the connection is inside a transaction, so its snapshot is an older one.
        DatabaseError: the marts can't be read.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise ValueError("figures are read outside of a transaction, to be of one snapshot")
    try:
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            return _figures(_Snapshot(connection))
    except psycopg.Error as error:
        raise DatabaseError(
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


class _Snapshot:
    """Queries of one transaction, each answered with no rows where its relation is missing."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._cursor = connection.cursor(row_factory=dict_row)
        self._relations = {row["name"] for row in self._cursor.execute(queries.RELATIONS)}
        self.read_at: datetime = self._cursor.execute(queries.CLOCK).fetchall()[0]["now"]

    def has(self, relation: str) -> bool:
        return relation in self._relations

    def rows(self, relation: str, query: str | sql.Composed, **values: object) -> list[Row]:
        if not self.has(relation):
            return []
        return list(self._cursor.execute(query, values))


def _figures(snapshot: _Snapshot) -> Figures:
    settings = {r["name"]: r["value"] for r in snapshot.rows("ledger.settings", queries.SETTINGS)}
    return Figures(
        read_at=snapshot.read_at,
        as_of=_clock(settings.get("as_of")),
        timezone=visible(settings.get("reporting_timezone") or "UTC"),
        default_model=visible(settings.get("default_model") or ""),
        demo_note=settings.get("demo_note") or "",
        usage=_usage(snapshot),
        tools=_tools(snapshot),
        health=_health(snapshot),
        runs=_runs(snapshot),
        gate=_gate(snapshot),
        merge=_merge(snapshot),
        quarantine=_quarantine(snapshot),
    )


def _clock(text: str | None) -> datetime | None:
    """The time at which a demo's clock stands; a setting nobody can read stops no report."""
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _usage(snapshot: _Snapshot) -> UsageFigures | None:
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
    return Usage(**{field.name: row[field.name] for field in fields(Usage)})


def _users(snapshot: _Snapshot, ids: list[int]) -> dict[str, tuple[str, str]]:
    """Name and e-mail address by user id."""
    rows = snapshot.rows("analytics.dim_users", queries.USERS, ids=ids)
    return {
        str(row["user_id"]): (visible(row["display_name"] or ""), visible(row["email"] or ""))
        for row in rows
    }


def _usage_row(row: Row, users: Mapping[str, tuple[str, str]]) -> UsageRow:
    side, member, usage = row["side"], row["member"], _sums(row)
    if row["members"] > 1:
        older = plural(row["members"], "older day") if side == "day" else ""
        return UsageRow(older or plural(row["members"], f"other {side}"), usage, is_rest=True)
    if side == "day":
        return UsageRow(row["first_day"].isoformat(), usage, day=row["first_day"])
    if side == "user":
        name, email = users.get(member, ("", ""))
        unnamed = "unknown user" if member is None else f"user {member}"
        return UsageRow(name or email or unnamed, usage, detail=email if name else "")
    return UsageRow(visible(member or "not stated"), usage)


def _tools(snapshot: _Snapshot) -> tuple[ToolRow, ...]:
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


def _health(snapshot: _Snapshot) -> HealthFigures | None:
    servers = queries.SERVERS if snapshot.has(queries.SERVERS) else queries.NO_SERVERS
    query = sql.SQL(queries.HEALTH).format(servers=sql.SQL(servers))
    rows = snapshot.rows("analytics.fct_daily_health", query, days=HEALTH_DAYS_SHOWN)
    days = tuple(_server_health(row) for row in rows if row["health_date"] is not None)
    if not days:
        return None
    dates = [row["health_date"] for row in rows if row["health_date"] is not None]
    return HealthFigures(
        first_day=min(dates),
        last_day=max(dates),
        servers=tuple(_server_health(row) for row in rows if row["health_date"] is None),
        days=days,
    )


def _server_health(row: Row) -> ServerHealth:
    return ServerHealth(
        server_id=row["mcp_server_id"],
        server=visible(row["mcp_server_name"] or f"server {row['mcp_server_id']}"),
        day=row["health_date"],
        up_seconds=row["up_seconds"],
        down_seconds=row["down_seconds"],
        unknown_seconds=row["unknown_seconds"],
        disabled_seconds=row["disabled_seconds"],
        uptime_share=row["uptime_share"],
        coverage_share=row["coverage_share"],
        checks=row["checks"],
        incidents=row["incidents"],
        longest_outage_seconds=row["longest_outage_seconds"],
        p95_response_ms=row["p95_response_ms"],
    )


def _runs(snapshot: _Snapshot) -> Runs:
    def read(query: str, **values: object) -> tuple[Run, ...]:
        return tuple(
            Run(row["started_at"], row["finished_at"], row["verdict"], visible(row["reason"]))
            for row in snapshot.rows("ledger.runs", query, **values)
        )

    return Runs(
        recent=read(queries.RUNS, recent=RUNS_SHOWN),
        last_published=next(iter(read(queries.LAST_RUN, verdict="published")), None),
        last_refused=next(iter(read(queries.LAST_RUN, verdict="refused")), None),
    )


def _gate(snapshot: _Snapshot) -> Gate | None:
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


def _merge(snapshot: _Snapshot) -> Merge | None:
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


def _quarantine(snapshot: _Snapshot) -> tuple[tuple[str, int], ...]:
    return tuple(
        (visible(row["reason"]) or "no reason given", row["count"])
        for row in snapshot.rows("ledger.audit_quarantine", queries.QUARANTINE)
    )
