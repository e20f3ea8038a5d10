"""Anthropic's cost report: `GET /v1/organizations/cost_report`.

Buckets of a day; amounts are decimal strings in cents, and fractions of cents. It must be grouped
by description: else it says neither model nor kind. Newer answers give the price before discounts
as `list_amount`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from omniledger.bill import values
from omniledger.bill.facts import TOKENS, Fact, Unreadable
from omniledger.bill.pages import Page, detail, results, token_kind

NAME = "cost_report"
PATH = "/v1/organizations/cost_report"
PARAMETERS = (
    ("bucket_width", "1d"),
    ("limit", "31"),
    ("group_by[]", "workspace_id"),
    ("group_by[]", "description"),
)

_TAKEN = (
    *("amount", "list_amount", "currency", "requests", "cost_type", "token_type", "model"),
    *("service_tier", "workspace_id", "api_key_id"),
)


def recognises(item: dict[str, Any]) -> bool:
    """Whether an item of a page is of this report; an empty bucket tells nothing."""
    found = item.get("results")
    return isinstance(found, list) and any(
        isinstance(one, dict) and "amount" in one for one in found
    )


def facts(pages: Iterable[Page]) -> Iterator[Fact]:
    """What the pages say.

    Raises:
        Unreadable: something in them can't be read.
    """
    for page in pages:
        for position, item in page.placed():
            start, end = values.bucket(item.get("starting_at"), item.get("ending_at"), position)
            yield Fact("cost", start, end, position)
            for place, result in results(item, position):
                yield charge(result, result, (start, end), place)


def charge(
    group: dict[str, Any], cost: dict[str, Any], period: tuple[datetime, datetime], place: str
) -> Fact:
    """One charge, of which `group` says what it is for and `cost` how much it is.

    Raises:
        Unreadable: it is in another currency, or doesn't say what it is for.
    """
    values.in_dollars(cost.get("currency"), f"{place}.currency")
    cost_type = values.text(group.get("cost_type"), f"{place}.cost_type")
    if cost_type is None:
        raise Unreadable(
            place,
            "doesn't say what it is for; fetch it with group_by[]=description (cost_report) or "
            "with group_by[]=model, cost_type and token_type (analytics/cost)",
        )
    model = values.text(group.get("model"), f"{place}.model")
    kind = token_kind(group.get("token_type"), place) if cost_type == TOKENS else None
    if kind is not None and model is None:
        raise Unreadable(f"{place}.model", "is missing, so nobody knows whose tokens these are")
    before = cost.get("list_amount")
    return Fact(
        "cost",
        period[0],
        period[1],
        place,
        model=model,
        kind=kind,
        cost_type=cost_type,
        amount=values.dollars_of_cents(cost.get("amount"), f"{place}.amount"),
        list_amount=None
        if before is None
        else values.dollars_of_cents(before, f"{place}.list_amount"),
        tier=values.text(group.get("service_tier"), f"{place}.service_tier"),
        workspace=values.text(group.get("workspace_id"), f"{place}.workspace_id"),
        api_key=values.text(group.get("api_key_id"), f"{place}.api_key_id"),
        detail=detail(group, *_TAKEN),
    )
