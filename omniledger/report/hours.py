"""The last hours of each server: when within the day it was down, or nobody looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from omniledger.report.snapshot import Snapshot, server_name

HOURS_SHOWN = 48
SERVERS_SHOWN = 12
ROWS_LISTED = 100

_HOURS = """
with newest as (
    select
        max(hour_at) - %(hours)s * interval '1 hour' as first_at,
        min(hour_at) <= max(hour_at) - %(hours)s * interval '1 hour' as has_older
    from analytics.fct_hourly_health
),

shown as (
    select
        hours.*,
        newest.has_older
    from analytics.fct_hourly_health as hours
    inner join newest on hours.hour_at > newest.first_at
),

ranked as (
    select
        mcp_server_id,
        row_number() over (
            order by sum(down_seconds) desc, sum(unknown_seconds) desc, mcp_server_id
        ) as place
    from shown
    group by mcp_server_id
)

select
    shown.mcp_server_id,
    servers.mcp_server_name,
    shown.hour_at,
    shown.has_older,
    shown.up_seconds,
    shown.down_seconds,
    shown.unknown_seconds,
    shown.disabled_seconds,
    shown.checks,
    shown.p95_response_ms,
    ranked.place
from shown
inner join ranked on shown.mcp_server_id = ranked.mcp_server_id
left join {servers} as servers on shown.mcp_server_id = servers.mcp_server_id
order by ranked.place, shown.hour_at
"""


@dataclass(frozen=True, slots=True)
class HourHealth:
    """One hour of one server, in seconds of each state."""

    server_id: int
    server: str
    hour_at: datetime
    health_date: date
    """The day of the reporting time zone in which the hour is."""
    up_seconds: int
    down_seconds: int
    unknown_seconds: int
    disabled_seconds: int
    checks: int
    p95_response_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class Hours:
    """The last hours, the least healthy server first."""

    drawn: tuple[HourHealth, ...] = ()
    """Every hour of the least healthy servers."""
    not_up: tuple[HourHealth, ...] = ()
    """Hours of any server that was down or of which nobody knows, the newest first."""
    not_up_in_all: int = 0
    first_day: date | None = None
    """The day of the first hour; None where the mart has none before it."""

    @property
    def since(self) -> date | None:
        """The day with which the list begins; None where it lists every hour."""
        is_cut = len(self.not_up) < self.not_up_in_all
        return self.not_up[-1].health_date if is_cut else self.first_day


def read(snapshot: Snapshot) -> Hours:
    """The hours; empty before one is published."""
    rows = snapshot.rows("analytics.fct_hourly_health", _HOURS, hours=HOURS_SHOWN)
    names = (
        "hour_at", "up_seconds", "down_seconds", "unknown_seconds", "disabled_seconds", "checks",
        "p95_response_ms",
    )  # fmt: skip
    every = [
        (
            row["place"],
            HourHealth(
                server_id=row["mcp_server_id"],
                server=server_name(row),
                health_date=snapshot.day_of(row["hour_at"]),
                **{name: row[name] for name in names},
            ),
        )
        for row in rows
    ]
    not_up = [hour for _, hour in every if hour.down_seconds or hour.unknown_seconds]
    has_older = bool(rows) and rows[0]["has_older"]
    not_up.sort(key=lambda hour: (hour.hour_at, hour.down_seconds), reverse=True)
    return Hours(
        drawn=tuple(hour for place, hour in every if place <= SERVERS_SHOWN),
        not_up=tuple(not_up[:ROWS_LISTED]),
        not_up_in_all=len(not_up),
        first_day=min(hour.health_date for _, hour in every) if has_older else None,
    )
