"""The health of each server: days, response times, error budget, incidents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from omniledger.report.formats import visible
from omniledger.report.snapshot import Row, Snapshot, server_name

DAYS_SHOWN = 90

SERVERS_LISTED = 100
"""Servers in the tables, and told apart day by day, the least healthy first; the CSV has all."""

DAYS_LISTED = 14
"""Days of each server in the table; a script offers all that the chart shows as CSV."""

INCIDENTS_SHOWN = 50

_STATES = {"running": "up", "disabled": "disabled", "deleted": "deleted"}
"""What a server was, by the mart's verdict on its checks; by any other it is not known."""

LEAST_HEALTHY = f"""
    select
        shown.mcp_server_id,
        row_number() over (
            order by
                sum(shown.down_seconds) desc,
                sum(shown.unknown_seconds) desc,
                max(servers.mcp_server_name),
                shown.mcp_server_id
        ) as place
    from analytics.fct_daily_health as shown
    left join {{servers}} as servers on shown.mcp_server_id = servers.mcp_server_id
    where
        shown.health_date > (
            select max(newest.health_date) - {DAYS_SHOWN}
            from analytics.fct_daily_health as newest
        )
    group by shown.mcp_server_id
"""  # noqa: S608
"""Each server and its place among all over the days shown, the least healthy first."""

# A percentile over days can't be made of each day's: that of the newest day with one is told.
_HEALTH = f"""
with newest as (
    select
        max(health_date) - {DAYS_SHOWN} + 1 as first_day,
        min(health_date) <= max(health_date) - {DAYS_SHOWN} as has_older
    from analytics.fct_daily_health
)

select
    health.mcp_server_id,
    servers.mcp_server_name,
    health.health_date,
    min(health.health_date) as first_date,
    max(health.health_date) as last_date,
    max(servers.checks_verdict) as checks_verdict,
    max(servers.last_event_at) as last_event_at,
    sum(health.up_seconds)::bigint as up_seconds,
    sum(health.down_seconds)::bigint as down_seconds,
    sum(health.unknown_seconds)::bigint as unknown_seconds,
    sum(health.disabled_seconds)::bigint as disabled_seconds,
    case
        when grouping(health.health_date) = 0 then max(health.uptime_share)
        else
            sum(health.up_seconds)::numeric
            / nullif(sum(health.up_seconds) + sum(health.down_seconds), 0)
    end as uptime_share,
    case
        when grouping(health.health_date) = 0 then max(health.coverage_share)
        else
            (sum(health.up_seconds) + sum(health.down_seconds))::numeric
            / nullif(sum(health.day_seconds) - sum(health.disabled_seconds), 0)
    end as coverage_share,
    coalesce(sum(health.checks), 0)::bigint as checks,
    coalesce(sum(health.incidents), 0)::bigint as incidents,
    max(health.longest_outage_seconds) as longest_outage_seconds,
    (
        array_agg(health.p50_response_ms order by health.health_date desc)
        filter (where health.responses > 0)
    )[1] as p50_response_ms,
    (
        array_agg(health.p95_response_ms order by health.health_date desc)
        filter (where health.responses > 0)
    )[1] as p95_response_ms,
    (
        array_agg(health.p99_response_ms order by health.health_date desc)
        filter (where health.responses > 0)
    )[1] as p99_response_ms,
    max(health.health_date) filter (where health.responses > 0) as response_date,
    max(health.objective_share) as objective_share,
    sum(health.error_budget_seconds) as error_budget_seconds,
    sum(health.error_budget_left_seconds) as error_budget_left_seconds,
    bool_or(newest.has_older) as has_older
from analytics.fct_daily_health as health
inner join newest on health.health_date >= newest.first_day
inner join ({LEAST_HEALTHY}) as ranked on health.mcp_server_id = ranked.mcp_server_id
left join {{servers}} as servers on health.mcp_server_id = servers.mcp_server_id
group by grouping sets (
    (health.mcp_server_id, servers.mcp_server_name, ranked.place, health.health_date),
    (health.mcp_server_id, servers.mcp_server_name, ranked.place)
)
having grouping(health.health_date) = 1 or ranked.place <= {SERVERS_LISTED}
order by ranked.place, health.health_date desc nulls first
"""  # noqa: S608

_INCIDENTS = """
select
    incidents.mcp_server_id,
    servers.mcp_server_name,
    incidents.opened_date,
    incidents.opened_at,
    incidents.closed_at,
    coalesce(incidents.ended_as, '') as ended_as,
    incidents.down_seconds,
    incidents.checks,
    coalesce(incidents.first_error, '') as first_error,
    coalesce(incidents.last_error, '') as last_error,
    count(*) over () as incidents_in_all,
    array_agg(incidents.mcp_server_id) filter (where incidents.closed_at is null) over ()
        as servers_down,
    max(incidents.opened_date) over (
        order by
            incidents.closed_at is null desc, incidents.opened_at desc, incidents.mcp_server_id
        rows between %(shown)s following and unbounded following
    ) as newest_left
from analytics.fct_incidents as incidents
left join {servers} as servers on incidents.mcp_server_id = servers.mcp_server_id
where incidents.closed_at is null or incidents.closed_at >= %(first_at)s
order by incidents.closed_at is null desc, incidents.opened_at desc, incidents.mcp_server_id
limit %(shown)s
"""


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One server over the days shown, or one of its days where `day` is set.

    Response times are exact, of one day: the day itself, or the newest with a response.
    """

    server_id: int
    server: str
    day: date | None
    checks_verdict: str
    last_event_at: datetime | None
    up_seconds: int
    down_seconds: int
    unknown_seconds: int
    disabled_seconds: int
    uptime_share: Decimal | None
    coverage_share: Decimal | None
    checks: int
    incidents: int
    longest_outage_seconds: int | None
    p50_response_ms: Decimal | None
    p95_response_ms: Decimal | None
    p99_response_ms: Decimal | None
    response_date: date | None
    objective_share: Decimal | None
    error_budget_seconds: Decimal | None
    error_budget_left_seconds: Decimal | None

    @property
    def budget_used_share(self) -> Decimal | None:
        """The part of the error budget that was spent; 1 is all of it."""
        if not self.error_budget_seconds:
            return None
        return self.down_seconds / self.error_budget_seconds


@dataclass(frozen=True, slots=True)
class Incident:
    """Time that a server was down in one stretch; `closed_at` is None while it still is.

    Dates are days of the reporting time zone.
    """

    server_id: int
    server: str
    opened_date: date
    opened_at: datetime
    closed_date: date | None
    closed_at: datetime | None
    ended_as: str
    down_seconds: int
    checks: int
    first_error: str
    last_error: str


@dataclass(frozen=True, slots=True)
class HealthFigures:
    """The newest days of `fct_daily_health`, the least healthy server first, and incidents."""

    first_day: date
    last_day: date
    servers: tuple[ServerHealth, ...]
    days: tuple[ServerHealth, ...]
    """Those of the servers that are listed."""
    incidents: tuple[Incident, ...] = ()
    incidents_in_all: int = 0
    servers_down: tuple[int, ...] = ()
    """The server of each open incident, also of those that aren't listed."""
    newest_left: date | None = None
    """When the newest incident opened that isn't listed; None where all are."""
    has_older: bool = False
    """Whether the mart has days before the first one shown."""

    @property
    def incidents_open(self) -> int:
        """How many incidents are open, listed or not."""
        return len(self.servers_down)

    @property
    def since(self) -> date | None:
        """The first day shown; None where the mart has none before it."""
        return self.first_day if self.has_older else None

    @property
    def incidents_since(self) -> date | None:
        """The day with which the list of incidents begins; None where it lists them all."""
        if self.newest_left is None:
            return self.since
        # Open ones come first: of a list full of them, newer ones may be left out.
        return max(self.incidents[-1].opened_date, self.newest_left)

    @property
    def listed_since(self) -> date | None:
        """The first day of the table by day; None where it lists every day."""
        first = self.last_day - timedelta(days=DAYS_LISTED - 1)
        return first if self.first_day < first else None

    def state(self, server: ServerHealth) -> str:
        """What it was when the figures were published: up, down, unknown, disabled, deleted."""
        if server.server_id in self.servers_down:
            return "down"
        return _STATES.get(server.checks_verdict, "unknown")

    @property
    def servers_listed(self) -> tuple[ServerHealth, ...]:
        """The least healthy servers, as many as the tables have."""
        return self.servers[:SERVERS_LISTED]

    @property
    def servers_left(self) -> tuple[ServerHealth, ...]:
        """The servers that are there still: of others nobody need know anything."""
        return tuple(server for server in self.servers if self.state(server) != "deleted")

    def in_state(self, state: str) -> tuple[ServerHealth, ...]:
        """The servers that were in `state`."""
        return tuple(server for server in self.servers if self.state(server) == state)

    @property
    def days_listed(self) -> tuple[ServerHealth, ...]:
        """The newest days of each server that is listed."""
        return tuple(
            row
            for row in self.days
            if row.day is not None and (self.last_day - row.day).days < DAYS_LISTED
        )


def read(snapshot: Snapshot) -> HealthFigures | None:
    """The health section; None before a day of health is published."""
    rows = snapshot.rows("analytics.fct_daily_health", _HEALTH)
    if not rows:
        return None
    first_day = min(row["first_date"] for row in rows)
    incidents = snapshot.rows(
        "analytics.fct_incidents",
        _INCIDENTS,
        first_at=datetime.combine(first_day, time(), snapshot.zone),
        shown=INCIDENTS_SHOWN,
    )
    return HealthFigures(
        first_day=first_day,
        last_day=max(row["last_date"] for row in rows),
        servers=tuple(_server(row) for row in rows if row["health_date"] is None),
        days=tuple(_server(row) for row in rows if row["health_date"] is not None),
        incidents=tuple(_incident(snapshot, row) for row in incidents),
        incidents_in_all=incidents[0]["incidents_in_all"] if incidents else 0,
        servers_down=tuple(incidents[0]["servers_down"] or ()) if incidents else (),
        newest_left=incidents[0]["newest_left"] if incidents else None,
        has_older=rows[0]["has_older"],
    )


_SAME = (
    "last_event_at", "up_seconds", "down_seconds", "unknown_seconds", "disabled_seconds",
    "uptime_share", "coverage_share", "checks", "incidents", "longest_outage_seconds",
    "p50_response_ms", "p95_response_ms", "p99_response_ms", "response_date", "objective_share",
    "error_budget_seconds", "error_budget_left_seconds",
)  # fmt: skip


def _server(row: Row) -> ServerHealth:
    return ServerHealth(
        server_id=row["mcp_server_id"],
        server=server_name(row),
        day=row["health_date"],
        checks_verdict=row["checks_verdict"] or "",
        **{name: row[name] for name in _SAME},
    )


def _incident(snapshot: Snapshot, row: Row) -> Incident:
    return Incident(
        server_id=row["mcp_server_id"],
        server=server_name(row),
        opened_date=row["opened_date"],
        opened_at=row["opened_at"],
        closed_date=snapshot.day_of(row["closed_at"]) if row["closed_at"] else None,
        closed_at=row["closed_at"],
        ended_as=row["ended_as"],
        down_seconds=row["down_seconds"],
        checks=row["checks"],
        first_error=visible(row["first_error"]),
        last_error=visible(row["last_error"]),
    )
