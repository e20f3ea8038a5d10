"""Anthropic's usage report: `GET /v1/organizations/usage_report/messages`.

Buckets of a minute, an hour or a day, each with results by what was grouped by; the model must be
among that, for tokens of any model can't be compared with anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omniledger.bill import values
from omniledger.bill.facts import (
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CACHED,
    INPUT,
    OUTPUT,
    WEB_SEARCH,
    Fact,
    Unreadable,
)
from omniledger.bill.pages import Page, detail, results

NAME = "usage_report"
PATH = "/v1/organizations/usage_report/messages"
PARAMETERS = (
    ("bucket_width", "1d"),
    ("limit", "31"),
    ("group_by[]", "model"),
    ("group_by[]", "workspace_id"),
    ("group_by[]", "service_tier"),
    ("group_by[]", "context_window"),
)

_COUNTS = {
    INPUT: ("uncached_input_tokens",),
    OUTPUT: ("output_tokens",),
    CACHED: ("cache_read_input_tokens",),
    CACHE_WRITE_5M: ("cache_creation", "ephemeral_5m_input_tokens"),
    CACHE_WRITE_1H: ("cache_creation", "ephemeral_1h_input_tokens"),
    WEB_SEARCH: ("server_tool_use", "web_search_requests"),
}
_NEEDED = (INPUT, OUTPUT)
_TAKEN = ("model", "service_tier", "workspace_id", "api_key_id", *(c[0] for c in _COUNTS.values()))


def recognises(item: dict[str, Any]) -> bool:
    """Whether an item of a page is of this report; an empty bucket tells nothing."""
    found = item.get("results")
    return isinstance(found, list) and any(
        isinstance(one, dict) and "uncached_input_tokens" in one for one in found
    )


def facts(pages: Iterable[Page]) -> Iterator[Fact]:
    """What the pages say.

    Raises:
        Unreadable: something in them can't be read.
    """
    for page in pages:
        for position, item in page.placed():
            yield from _bucket(item, position)


def _bucket(item: dict[str, Any], position: str) -> Iterator[Fact]:
    start, end = values.bucket(item.get("starting_at"), item.get("ending_at"), position)
    yield Fact("usage", start, end, position)
    for place, result in results(item, position):
        model = values.text(result.get("model"), f"{place}.model")
        if model is None:
            raise Unreadable(place, "names no model; fetch the report with group_by[]=model")
        for kind, path in _COUNTS.items():
            count = _count(result, path, place, needed=kind in _NEEDED)
            if count:
                yield Fact(
                    "usage",
                    start,
                    end,
                    place,
                    model=model,
                    kind=kind,
                    quantity=count,
                    tier=values.text(result.get("service_tier"), f"{place}.service_tier"),
                    workspace=values.text(result.get("workspace_id"), f"{place}.workspace_id"),
                    api_key=values.text(result.get("api_key_id"), f"{place}.api_key_id"),
                    detail=detail(result, *_TAKEN),
                )


def _count(result: dict[str, Any], path: tuple[str, ...], place: str, *, needed: bool) -> int:
    found: Any = result
    for name in path:
        place = f"{place}.{name}"
        found = found.get(name) if isinstance(found, dict) else None
    if found is None and not needed:
        return 0
    return values.tokens(found, place)
