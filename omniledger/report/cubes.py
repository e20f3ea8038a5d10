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
from typing import Any

from omniledger.report import queries
from omniledger.report.cube_shapes import OTHERS, SHAPES, Shape
from omniledger.report.formats import plural, visible
from omniledger.report.snapshot import Row, Snapshot

_EXACT_IN_SCRIPT = 2**53
"""Whole numbers below it are exact in a script's own numbers; others become its big integers."""


def read(snapshot: Snapshot) -> dict[str, Any]:
    """The cubes by name; a mart without a row has none."""
    cubes = {name: _cube(snapshot, shape) for name, shape in SHAPES.items()}
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
select
    servers.mcp_server_id::text as key,
    max(servers.mcp_server_name) as name,
    max(servers.called) as called
from {servers} as servers
group by servers.mcp_server_id
"""


def _servers(snapshot: Snapshot, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: list[Row] = snapshot.rows("analytics.fct_daily_health", _SERVER_NAMES)
    found = {row["key"]: row for row in rows}

    def named(key: str) -> dict[str, Any]:
        name, called = (visible(found.get(key, {}).get(of) or "") for of in ("name", "called"))
        member = {"key": key, "name": name or f"server {key}"}
        # Of several servers by one name, requests say no more than that name.
        return member | ({"called": called} if name and called != name else {})

    return [named(member["key"]) for member in members]
