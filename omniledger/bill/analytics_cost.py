"""Anthropic's newer cost form: `GET /v1/organizations/analytics/cost`.

Flat rows, each with its own period and `cost {amount, list_amount, currency}`, amounts in cents
and fractions of cents. It must be broken out by model, cost type and token type, in days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omniledger.bill import values
from omniledger.bill.cost_report import charge
from omniledger.bill.facts import Fact, Unreadable
from omniledger.bill.pages import Page

NAME = "analytics_cost"


def recognises(item: dict[str, Any]) -> bool:
    """Whether an item of a page is a row of this form."""
    return "cost" in item and "group" in item


def facts(pages: Iterable[Page]) -> Iterator[Fact]:
    """What the pages say.

    Raises:
        Unreadable: something in them can't be read.
    """
    for page in pages:
        for position, item in page.placed():
            group, cost = item.get("group"), item.get("cost")
            if not isinstance(group, dict) or not isinstance(cost, dict):
                raise Unreadable(position, "has no `group` or no `cost`")
            period = values.bucket(item.get("starting_at"), item.get("ending_at"), position)
            yield charge(group, cost, period, position)
