"""The figures that a reader can filter on the page: small cubes of days and members, exact.

PostgreSQL writes each column of a cube as one line of whole numbers, a decimal figure as a whole
number of its smallest unit (`scale` digits after the point), so that no float is ever made of
money. The page unpacks the lines when somebody filters.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omniledger.report import billing, queries
from omniledger.report.formats import plural, visible
from omniledger.report.snapshot import Row, Snapshot

CELLS_KEPT = 30_000
"""Rows of usage kept by user, about a megabyte; dearer users come first, the rest are one."""

COST_CELLS = 6_000
"""Rows of cost by server that a page can carry; with more of them that table follows no filter."""

TOOLS_NAMED = 25
HEALTH_DAYS = 90
BILL_DAYS = billing.DAYS_SHOWN

OTHERS = "..."
"""The key of members that are summed; no user has it. The script knows it too.

It stands in SQL, so it is ASCII: a database whose encoding lacks a character refuses the query.
"""

_EXACT_IN_SCRIPT = 2**53
"""Whole numbers below it are exact in a script's own numbers; others become its big integers."""


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
select health_date as day, mcp_server_id::text as server, {", ".join(_HEALTH_FIGURES)}
from analytics.fct_daily_health
where
    health_date > (
        select max(newest.health_date) - {HEALTH_DAYS} from analytics.fct_daily_health as newest
    )
""",  # noqa: S608
    ("server",),
    _HEALTH_FIGURES,
)


def read(snapshot: Snapshot) -> dict[str, Any]:
    """The cubes by name; a mart without a row has none."""
    shapes = {"usage": _USAGE, "costs": _COSTS, "tools": _TOOLS, "health": _HEALTH, "bill": _BILL}
    cubes = {name: _cube(snapshot, shape) for name, shape in shapes.items()}
    if usage := cubes["usage"]:
        usage["members"]["user"] = _users(snapshot, usage["members"]["user"])
    if costs := cubes["costs"]:
        for member in costs["members"]["server"]:
            member["name"] = member["name"] if member["key"] else "no server"
    if health := cubes["health"]:
        health["members"]["server"] = _servers(snapshot, health["members"]["server"])
    return {name: cube for name, cube in cubes.items() if cube}


def packed(cubes: Mapping[str, Any]) -> str:
    """The cubes as the page carries them: JSON, compressed, in letters."""
    text = json.dumps(cubes, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _cube(snapshot: Snapshot, shape: Shape) -> dict[str, Any] | None:
    row = next(iter(snapshot.rows(shape.mart, _lines(shape))), None)
    if row is None or row["first_day"] is None:
        return None
    return {
        "first": row["first_day"].isoformat(),
        "day": row["day"],
        "at": {name: row[name] for name in shape.dimensions},
        "members": {
            name: [
                {"key": key, "name": visible(key) or "not stated"} for key in row[f"{name}_keys"]
            ]
            for name in shape.dimensions
        },
        "figures": {
            name: {
                "op": op,
                "scale": row[f"{name}_scale"],
                "big": row[f"{name}_size"] >= _EXACT_IN_SCRIPT,
                "line": row[name],
            }
            for name, op in shape.figures.items()
        },
    }


def _lines(shape: Shape) -> str:
    """One row: each column of the cube as a line, sorted so that it compresses well.

    Days are told as steps from the row before.
    """

    def each(pattern: str, names: Sequence[str]) -> str:
        return "".join(f", {pattern.format(n=name)}" for name in names)

    dimensions, figures = shape.dimensions, tuple(shape.figures)
    order = ", ".join([*(f"{name}_at" for name in dimensions), "day"])
    scale = "max(coalesce(scale(trim_scale({n}::numeric)), 0)) as {n}_scale"
    member = """string_agg({n}_at::text, ' ') as "{n}\""""
    units = "replace(round(sorted.{n}::numeric, {n}_scale)::text, '.', '')"
    return f"""
with base as ({shape.query}),

scales as (select min(day) as first_day{each(scale, figures)} from base),

sorted as (
    select *{each('dense_rank() over (order by "{n}") - 1 as {n}_at', dimensions)}
    from base
    order by {order}
),

stepped as (select *, day - lag(day) over (order by {order}) as step from sorted)

select
    min(first_day) as first_day,
    string_agg(coalesce(step, day - first_day)::text, ' ') as day
    {each(member, dimensions)}
    {each('array_agg(distinct "{n}" order by "{n}") as {n}_keys', dimensions)}
    {each("string_agg(coalesce(" + units + ", ''), ' ') as {n}", figures)}
    {each("min({n}_scale) as {n}_scale", figures)}
    {each("coalesce(sum(abs(sorted.{n})) * 10::numeric ^ min({n}_scale), 0) as {n}_size", figures)}
from stepped as sorted
cross join scales
"""  # noqa: S608 -- names of ours


def _users(snapshot: Snapshot, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [int(member["key"]) for member in members if member["key"].lstrip("-").isdigit()]
    found = snapshot.rows("analytics.dim_users", queries.USERS, ids=ids)
    names = {str(row["user_id"]): snapshot.person(row) for row in found}
    counted = snapshot.rows("analytics.fct_daily_usage", queries.USAGE_COUNTS)[0]
    alone = sum(member["key"] != OTHERS for member in members)
    others = counted["users"] + counted["has_unknown_user"] - alone

    def named(key: str) -> dict[str, Any]:
        if key == OTHERS:
            return {"key": key, "name": plural(others, "other user"), "count": others}
        name, detail = names.get(key, (f"user {key}" if key else "unknown user", ""))
        return {"key": key, "name": name, "detail": detail}

    return [named(member["key"]) for member in members]


_SERVER_NAMES = """
select servers.mcp_server_id::text as key, max(servers.mcp_server_name) as name
from {servers} as servers
group by servers.mcp_server_id
"""


def _servers(snapshot: Snapshot, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: list[Row] = snapshot.rows("analytics.fct_daily_health", _SERVER_NAMES)
    names = {row["key"]: visible(row["name"] or "") for row in rows}
    return [
        {"key": member["key"], "name": names.get(member["key"]) or f"server {member['key']}"}
        for member in members
    ]
