"""What the requests cost, split over the MCP servers that they called."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from omniledger.report.formats import plural, visible
from omniledger.report.snapshot import Row, Snapshot

SERVERS_SHOWN = 25
"""Servers shown by name; the others are summed."""

# What called no server has a row of its own, which is never among the others.
_COST = """
with grouped as (
    select
        is_no_server,
        mcp_server,
        sum(requests) as requests,
        sum(requests_shared) as requests_shared,
        sum(requests_cost_unknown) as requests_cost_unknown,
        sum(calls) as calls,
        sum(tokens_total) as tokens_total,
        sum(cost_recorded_usd) as cost_recorded_usd,
        sum(cost_recomputed_usd) as cost_recomputed_usd,
        sum(cost_usd) as cost_usd
    from analytics.fct_daily_mcp_cost
    group by is_no_server, mcp_server
),

placed as (
    select
        *,
        least(
            row_number() over (
                partition by is_no_server
                order by cost_recomputed_usd desc nulls last, requests desc, mcp_server
            ),
            %(shown)s + 1
        ) as place
    from grouped
)

select
    is_no_server,
    min(mcp_server) as mcp_server,
    count(*) as members,
    sum(requests)::bigint as requests,
    sum(requests_shared)::bigint as requests_shared,
    sum(requests_cost_unknown)::bigint as requests_cost_unknown,
    sum(calls)::bigint as calls,
    sum(tokens_total)::bigint as tokens_total,
    sum(cost_recorded_usd) as cost_recorded_usd,
    sum(cost_recomputed_usd) as cost_recomputed_usd,
    sum(cost_usd) as cost_usd
from placed
group by is_no_server, place
order by is_no_server, place
"""


@dataclass(frozen=True, slots=True)
class ServerCost:
    """One MCP server's share over all days, US dollars; requests count at each of their servers.

    Of several servers together (`is_rest`) requests are None: they would count twice.
    """

    server: str
    requests: int | None
    requests_shared: int | None
    requests_cost_unknown: int | None
    calls: int
    tokens_total: int | None
    cost_recorded_usd: Decimal | None
    cost_recomputed_usd: Decimal | None
    cost_usd: Decimal | None
    is_no_server: bool = False
    is_rest: bool = False


def read(snapshot: Snapshot) -> tuple[ServerCost, ...]:
    """The dearest servers, the others together, and what called none; empty before publishing."""
    mart = "analytics.fct_daily_mcp_cost"
    return tuple(_server(row) for row in snapshot.rows(mart, _COST, shown=SERVERS_SHOWN))


def _server(row: Row) -> ServerCost:
    is_rest = row["members"] > 1
    return ServerCost(
        server=plural(row["members"], "other server") if is_rest else visible(row["mcp_server"]),
        requests=None if is_rest else row["requests"],
        requests_shared=None if is_rest else row["requests_shared"],
        requests_cost_unknown=None if is_rest else row["requests_cost_unknown"],
        calls=row["calls"],
        tokens_total=row["tokens_total"],
        cost_recorded_usd=row["cost_recorded_usd"],
        cost_recomputed_usd=row["cost_recomputed_usd"],
        cost_usd=row["cost_usd"],
        is_no_server=row["is_no_server"],
        is_rest=is_rest,
    )
