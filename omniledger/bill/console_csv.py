"""The CSV files that Anthropic's console exports: usage by day, or cost by day.

The console rounds costs to whole cents, and calls models by the names that people see there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from omniledger.bill import values
from omniledger.bill.facts import (
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CACHED,
    INPUT,
    OUTPUT,
    TOKENS,
    WEB_SEARCH,
    Fact,
    Unreadable,
)

Row = Mapping[str, str]

_COUNTS = {
    "usage_input_tokens_no_cache": INPUT,
    "usage_output_tokens": OUTPUT,
    "usage_input_tokens_cache_read": CACHED,
    "usage_input_tokens_cache_write_5m": CACHE_WRITE_5M,
    "usage_input_tokens_cache_write_1h": CACHE_WRITE_1H,
    "web_search_count": WEB_SEARCH,
}
_KINDS = {
    "input_no_cache": INPUT,
    "output": OUTPUT,
    "input_cache_read": CACHED,
    "input_cache_write_5m": CACHE_WRITE_5M,
    "input_cache_write_1h": CACHE_WRITE_1H,
}
_TIERS = ("standard", "batch", "priority", "flex")

USAGE, COST = "console_usage", "console_cost"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    USAGE: ("usage_date_utc", "model_version", *list(_COUNTS)[:3]),
    COST: ("usage_date_utc", "model", "token_type", "cost_usd"),
}
"""The columns by which each is told."""


def usage(rows: Iterable[tuple[str, Row]]) -> Iterator[Fact]:
    """What an export of usage says, of rows with their positions."""
    for position, row in rows:
        start, end = values.day(row["usage_date_utc"], f"{position}, usage_date_utc")
        model = values.text(row["model_version"], f"{position}, model_version")
        if model is None:
            raise Unreadable(f"{position}, model_version", "is empty")
        tier = _text(row, "usage_type", position)
        yield Fact("usage", start, end, position)
        for column, kind in _COUNTS.items():
            count = values.tokens(row.get(column) or "0", f"{position}, {column}")
            if count:
                yield Fact(
                    "usage",
                    start,
                    end,
                    position,
                    model=model,
                    kind=kind,
                    quantity=count,
                    tier=tier if tier in _TIERS else None,
                    workspace=_text(row, "workspace", position),
                    api_key=_text(row, "api_key", position),
                    detail=_detail(row, position, "context_window", "inference_geo", "speed"),
                )


def cost(rows: Iterable[tuple[str, Row]]) -> Iterator[Fact]:
    """What an export of cost says, of rows with their positions."""
    for position, row in rows:
        start, end = values.day(row["usage_date_utc"], f"{position}, usage_date_utc")
        model = _text(row, "model", position)
        cost_type, kind = _what_for(row, position)
        if kind is not None and model is None:
            raise Unreadable(f"{position}, model", "is empty")
        before = row.get("list_price_usd")
        usage_type = _text(row, "usage_type", position)
        yield Fact(
            "cost",
            start,
            end,
            position,
            model=model,
            kind=kind,
            cost_type=cost_type,
            amount=values.dollars(row["cost_usd"], f"{position}, cost_usd"),
            list_amount=values.dollars(before, f"{position}, list_price_usd") if before else None,
            tier=usage_type if usage_type in _TIERS else None,
            workspace=_text(row, "workspace", position),
            api_key=_text(row, "api_key", position),
            detail=_detail(row, position, "context_window", "inference_geo", "speed", "api_key_id"),
        )


def _what_for(row: Row, position: str) -> tuple[str, str | None]:
    """The type of a cost and, of tokens, their kind; exports before 2025 name the kind only."""
    written = row["token_type"].strip()
    kind = _KINDS.get(written)
    if kind is not None:
        return TOKENS, kind
    other = _text(row, "cost_type", position)
    if other is None or other in ("token", TOKENS):
        raise Unreadable(
            f"{position}, token_type", f"{written!r:.40} is no kind of tokens known here"
        )
    return other, None


def _text(row: Row, column: str, position: str) -> str | None:
    return values.text(row.get(column), f"{position}, {column}")


def _detail(row: Row, position: str, *columns: str) -> str:
    rest = {c: value for c in columns if (value := _text(row, c, position)) is not None}
    return json.dumps(rest, ensure_ascii=False) if rest else ""


READERS: Mapping[str, Callable[[Iterable[tuple[str, Row]]], Iterator[Fact]]] = {
    USAGE: usage,
    COST: cost,
}
