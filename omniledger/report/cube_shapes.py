"""What can be filtered on the page: the marts' figures, each by day and a few dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omniledger.report import billing, health

CELLS_KEPT = 30_000
"""Rows of usage kept by user, about a megabyte; dearer users come first, the rest are one."""

COST_CELLS = 6_000
"""Rows of cost by server that a page can carry; with more of them that table follows no filter."""

TOOLS_NAMED = 25
HEALTH_DAYS = health.DAYS_SHOWN
BILL_DAYS = billing.DAYS_SHOWN

OTHERS = "..."
"""The key of members that are summed; no user has it. The script knows it too.

It stands in SQL, so it is ASCII: a database whose encoding lacks a character refuses the query.
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a cube comes from: its mart, its query, its dimensions and how each figure is joined.

    The query has a `day`, each dimension as text, and each figure; `figures` says whether rows are
    summed (`sum`), the greatest holds (`max`), or the newest day's (`last`).
    """

    mart: str
    query: str
    dimensions: tuple[str, ...]
    figures: Mapping[str, str]


_SUMMED = (
    "requests", "errors", "blocked", "tokens_input", "tokens_output", "tokens_cached",
    "tokens_cache_write", "requests_cost_recorded", "cost_recomputed_usd", "cost_recorded_usd",
    "cost_difference_usd",
)  # fmt: skip


def usage_shape(cells_kept: int = CELLS_KEPT) -> Shape:
    """Usage by user, model and source, with so many rows by user at the most."""
    query = f"""
with ranked as (
    select
        coalesce(user_id::text, '') as member,
        sum(count(*)) over (
            order by sum(cost_recomputed_usd) desc nulls last, sum(requests) desc, user_id
        ) as cells
    from analytics.fct_daily_usage
    group by user_id
)

select
    usage.usage_date as day,
    case when ranked.cells <= {cells_kept} then ranked.member else '{OTHERS}' end as "user",
    coalesce(usage.llm_model, '') as model,
    coalesce(usage.source_system, '') as source,
    {", ".join(f"sum(usage.{name}) as {name}" for name in _SUMMED)}
from analytics.fct_daily_usage as usage
inner join ranked on coalesce(usage.user_id::text, '') = ranked.member
group by 1, 2, 3, 4
"""  # noqa: S608 -- names of ours
    figures = dict.fromkeys(_SUMMED, "sum")
    return Shape("analytics.fct_daily_usage", query, ("user", "model", "source"), figures)


_USAGE = usage_shape()


_TOOLS = Shape(
    "analytics.fct_daily_tool_usage",
    f"""
with ranked as (
    select
        mcp_server,
        tool,
        row_number() over (order by sum(calls) desc, mcp_server, tool) as place
    from analytics.fct_daily_tool_usage
    group by mcp_server, tool
)

select
    usage.usage_date as day,
    coalesce(usage.mcp_server, '') as server,
    case when ranked.place <= {TOOLS_NAMED} then coalesce(usage.tool, '') else '{OTHERS}' end
        as tool,
    sum(usage.calls) as calls,
    sum(usage.errors) as errors,
    sum(usage.blocked) as blocked,
    max(usage.users) as users,
    max(usage.p50_duration_ms) as p50_duration_ms,
    max(usage.p95_duration_ms) as p95_duration_ms
from analytics.fct_daily_tool_usage as usage
inner join ranked
    on
        coalesce(usage.mcp_server, '') = coalesce(ranked.mcp_server, '')
        and coalesce(usage.tool, '') = coalesce(ranked.tool, '')
group by 1, 2, 3
""",  # noqa: S608
    ("server", "tool"),
    {
        "calls": "sum", "errors": "sum", "blocked": "sum",
        "users": "max", "p50_duration_ms": "max", "p95_duration_ms": "max",
    },
)  # fmt: skip

_COST_FIGURES = (
    "requests", "requests_shared", "requests_cost_unknown", "calls", "tokens_total",
    "cost_recorded_usd", "cost_recomputed_usd", "cost_usd",
)  # fmt: skip

# What called no server is no server's: its key is one that no server can have.
_COSTS = Shape(
    "analytics.fct_daily_mcp_cost",
    f"""
select
    usage_date as day,
    case when is_no_server then '' else mcp_server end as server,
    coalesce(llm_model, '') as model,
    {", ".join(f"sum({name}) as {name}" for name in _COST_FIGURES)}
from analytics.fct_daily_mcp_cost
where (select count(*) from analytics.fct_daily_mcp_cost) <= {COST_CELLS}
group by 1, 2, 3
""",  # noqa: S608
    ("server", "model"),
    dict.fromkeys(_COST_FIGURES, "sum"),
)

# A bill is of no user, and its models bear other names than those of usage.
_BILL = Shape(
    "analytics.fct_bill_reconciliation",
    f"""
select bill_date as day, sum(billed_usd) as billed_usd
from analytics.fct_bill_reconciliation
where
    bill_date > (
        select max(newest.bill_date) - {BILL_DAYS}
        from analytics.fct_bill_reconciliation as newest
    )
group by bill_date
""",  # noqa: S608
    (),
    {"billed_usd": "sum"},
)

_HEALTH_FIGURES = {
    "up_seconds": "sum", "down_seconds": "sum", "unknown_seconds": "sum",
    "disabled_seconds": "sum", "incidents": "sum", "error_budget_seconds": "sum",
    "error_budget_left_seconds": "sum",
    "p50_response_ms": "last", "p95_response_ms": "last", "p99_response_ms": "last",
}  # fmt: skip

_HEALTH = Shape(
    "analytics.fct_daily_health",
    f"""
select
    shown.health_date as day,
    shown.mcp_server_id::text as server,
    {", ".join(f"shown.{name}" for name in _HEALTH_FIGURES)}
from analytics.fct_daily_health as shown
inner join ({health.LEAST_HEALTHY}) as ranked on shown.mcp_server_id = ranked.mcp_server_id
where
    ranked.place <= {health.SERVERS_LISTED}
    and shown.health_date > (
        select max(newest.health_date) - {HEALTH_DAYS} from analytics.fct_daily_health as newest
    )
""",  # noqa: S608
    ("server",),
    _HEALTH_FIGURES,
)

SHAPES = {"usage": _USAGE, "costs": _COSTS, "tools": _TOOLS, "health": _HEALTH, "bill": _BILL}
"""By the names under which the script has them."""
