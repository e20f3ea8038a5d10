"""The report's charts: which figures each one shows, in words that stand beside its table.

Lengths are read by Vega from decimal strings: no figure of money is a float here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from markupsafe import Markup

from omniledger.history import BUILDING, JUDGING, PUBLISHING
from omniledger.report import formats, shapes
from omniledger.report.billing import DAYS_SHOWN, CostDay
from omniledger.report.durations import ModelTime, StepTime
from omniledger.report.figures import ToolRow, Usage, UsageFigures, UsageRow
from omniledger.report.quota import QuotaRow
from omniledger.report.servers import ServerCost
from omniledger.report.shapes import FEW_DAYS, Record, calendar_of, record, short_names
from omniledger.report.svg import HATCH, draw

if TYPE_CHECKING:
    import altair as alt

NAMES_SHOWN = 12
"""More rows than these are left to the table beside the chart."""

_BLUE, _TEAL, _AMBER, _RED = "var(--blue)", "var(--teal)", "var(--amber)", "var(--down)"
_SPEND = {"Recomputed": _BLUE, "Recorded": _AMBER, "Billed": _TEAL}
_TOKENS = {"Input": "tokens_input", "Output": "tokens_output", "Cached": "tokens_cached"}
_BASES = {"Recorded": _AMBER, "Computed": _BLUE, "Estimated": _TEAL, "Unknown": HATCH}
_QUOTA = {"Within the limit": _BLUE, "Over the limit": _RED}
_CALLS = {"Succeeded": _BLUE, "Failed": _RED, "Blocked": _AMBER}
_STEPS = {BUILDING: "Build", JUDGING: "Judge", PUBLISHING: "Publish"}
_OTHER_STEPS = "Other"
_STEP_COLORS = {"Build": _BLUE, "Judge": _TEAL, "Publish": _AMBER, _OTHER_STEPS: "var(--quiet)"}


def spend_by_day(costs: Sequence[CostDay]) -> Markup:
    """Recomputed, recorded and, where there is a bill, billed cost of each day, side by side."""
    days = [cost for cost in reversed(costs) if _is_near(cost.day, costs[0].day)]
    colors = {
        series: color
        for series, color in _SPEND.items()
        if series != "Billed" or any(day.billed_usd is not None for day in days)
    }
    records = [
        record(formats.day(day.day), series, amount, formats.usd(amount), day.day.isoformat())
        for day in days
        for series, amount in zip(
            colors,
            (day.cost_recomputed_usd, day.cost_recorded_usd, day.billed_usd),
            strict=False,
        )
    ]

    def build(width: int) -> alt.TopLevelMixin:
        if len(days) > FEW_DAYS:
            calendar = calendar_of(days[0].day, days[-1].day)
            return shapes.columns(records, width, colors, calendar, height=220, number="$,~r")
        if len(days) > 1:
            return shapes.rows(records, width, colors, offset=True)
        rows = shapes.rows([r | {"row": r["series"]} for r in records], width, colors)
        return rows.properties(title=formats.day(days[0].day))

    label = f"Cost by day, {', '.join(colors).lower()}, in US dollars."
    return draw("spend-by-day", label, build)


def quota(rows: Sequence[QuotaRow]) -> Markup:
    """What each user used of the limit, in per cent of it."""
    shown = [row for row in rows if row.used_share is not None][:NAMES_SHOWN]
    records = [
        record(
            name,
            "Over the limit" if row.is_exceeded else "Within the limit",
            (row.used_share or Decimal(0)) * 100,
            formats.share(row.used_share) + (" (over)" if row.is_exceeded else ""),
        )
        for name, row in zip(short_names(row.user for row in shown), shown, strict=True)
    ]
    return draw(
        "quota",
        "The used part of each user's limit, in per cent.",
        lambda width: shapes.rows(records, width, _QUOTA),
    )


def tokens_by_day(usage: UsageFigures) -> Markup:
    """Input, output and cached tokens of each day, each kind on a scale of its own."""
    days = _days(usage.by_day)
    kinds = {
        kind: [
            record(
                row.name if row.day is None else formats.day(row.day),
                kind,
                number,
                formats.count(number),
                row.name,
            )
            for row in days
            for number in (getattr(row.usage, name),)
        ]
        for kind, name in _TOKENS.items()
        if any(getattr(row.usage, name) is not None for row in days)
    }

    def one_kind(kind: str, records: list[Record], width: int) -> alt.LayerChart:
        color = {kind: _BLUE}
        if len(days) > FEW_DAYS:
            return shapes.columns(records, width, color, _range(days), height=58, number="~s")
        return shapes.rows(records, width, color)

    def build(width: int) -> alt.TopLevelMixin:
        import altair as alt

        if len(days) == 1:
            records = [r | {"row": r["series"]} for kind in kinds.values() for r in kind]
            rows = shapes.rows(records, width, dict.fromkeys(kinds, _BLUE))
            return rows.properties(title=formats.day(date.fromisoformat(days[0].name)))
        charts = [
            one_kind(kind, records, width).properties(title=f"{kind} tokens")
            for kind, records in kinds.items()
        ]
        return alt.VConcatChart(vconcat=charts, spacing=16)

    return draw("tokens-by-day", "Tokens by day: input, output and cached.", build)


def spend_by_name(name: str, label: str, rows: Sequence[UsageRow]) -> Markup:
    """Recomputed cost of the dearest models, users or sources."""
    return _spend(name, label, [(row.name, row.usage.cost_recomputed_usd) for row in rows])


def spend_by_server(rows: Sequence[ServerCost]) -> Markup:
    """Recomputed cost of the dearest MCP servers, and of what called none."""
    *_, last = rows
    first = [row for row in rows if row is not last][: NAMES_SHOWN - 1]
    amounts = [(row.server, row.cost_recomputed_usd) for row in (*first, last)]
    label = "Recomputed cost by MCP server, in US dollars."
    return _spend("spend-by-server", label, amounts)


def _spend(name: str, label: str, amounts: Sequence[tuple[str, Decimal | None]]) -> Markup:
    shown = amounts[:NAMES_SHOWN]
    records = [
        record(unique, "Recomputed", amount, formats.usd(amount))
        for unique, (_, amount) in zip(short_names(name for name, _ in shown), shown, strict=True)
    ]
    return draw(name, label, lambda width: shapes.rows(records, width, {"Recomputed": _BLUE}))


def cache_share(total: Usage) -> str:
    """The part of all input tokens that was read from the cache."""
    cached, fresh = total.tokens_cached, total.tokens_input
    if cached is None or fresh is None or not cached + fresh:
        return formats.NOT_KNOWN
    return formats.share(Decimal(cached) / (cached + fresh))


def cost_basis(total: Usage) -> Markup:
    """How the cost of each request is known, as one bar of all requests."""
    numbers = (
        total.requests_cost_recorded,
        total.requests_cost_computed,
        total.requests_cost_estimated,
        total.requests_cost_unknown,
    )
    records = [
        record("", basis, number, formats.plural(number, "request"))
        for basis, number in zip(_BASES, numbers, strict=True)
    ]
    return draw(
        "cost-basis",
        "Requests by how their cost is known: recorded, computed, estimated or unknown.",
        lambda width: shapes.stack(records, width, _BASES),
    )


def tool_calls(tools: Sequence[ToolRow]) -> Markup:
    """Calls of the busiest tools, by how they ended."""
    shown = [tool for tool in tools if not tool.is_rest][:NAMES_SHOWN]
    names = short_names(f"{tool.tool} · {tool.server}" for tool in shown)
    records = [
        record(name, ending, number, formats.count(number))
        for name, tool in zip(names, shown, strict=True)
        for ending, number in zip(
            _CALLS,
            (max(tool.calls - tool.errors - tool.blocked, 0), tool.errors, tool.blocked),
            strict=True,
        )
    ]
    return draw(
        "tool-calls",
        "Calls by tool: succeeded, failed and blocked.",
        lambda width: shapes.stack(records, width, _CALLS),
    )


def run_steps(steps: Sequence[StepTime]) -> Markup:
    """How long each of the last runs took, by what it was at."""
    starts = list(dict.fromkeys(step.run_started_at for step in steps))
    names = dict(zip(starts, short_names(f"{at.day} {at:%b %H:%M}" for at in starts), strict=True))
    taken: dict[tuple[datetime, str], Decimal] = {}
    for step in steps:
        key = step.run_started_at, _STEPS.get(step.step, _OTHER_STEPS)
        taken[key] = taken.get(key, Decimal(0)) + (step.seconds or 0)
    records = [
        record(names[at], kind, taken[at, kind], formats.seconds(taken[at, kind]))
        for at in starts
        for kind in _STEP_COLORS
        if (at, kind) in taken
    ]
    return draw(
        "run-steps",
        "Seconds that each of the last runs took, by step.",
        lambda width: shapes.stack(records, width, _STEP_COLORS),
    )


def run_models(models: Sequence[ModelTime]) -> Markup:
    """How long the slowest models took in the last run."""
    shown = models[:NAMES_SHOWN]
    records = [
        record(name, "Last run", model.seconds, formats.seconds(model.seconds))
        for name, model in zip(short_names(m.model for m in shown), shown, strict=True)
    ]
    return draw(
        "run-models",
        "Seconds that each of the slowest models took in the last run.",
        lambda width: shapes.rows(records, width, {"Last run": _BLUE}),
    )


def _days(rows: Sequence[UsageRow]) -> list[UsageRow]:
    """The days shown one by one, oldest first."""
    days = [row for row in reversed(rows) if row.day is not None]
    return [row for row in days if row.day and _is_near(row.day, days[-1].day)]


def _is_near(day: date, newest: date | None) -> bool:
    """Whether a chart shows it: one day of a clock that was never set is decades of calendar."""
    return newest is None or (newest - day).days < DAYS_SHOWN


def _range(days: Sequence[UsageRow]) -> list[str]:
    dates = [row.day for row in days if row.day is not None]
    return calendar_of(min(dates), max(dates))
