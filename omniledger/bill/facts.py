"""What a bill says, one fact at a time, whatever form it came in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Kind = Literal["usage", "cost"]

INPUT, OUTPUT, CACHED = "input", "output", "cached"
CACHE_WRITE_5M, CACHE_WRITE_1H = "cache_write_5m", "cache_write_1h"
WEB_SEARCH = "web_search"
"""Searches, not tokens."""

TOKEN_KINDS = (INPUT, OUTPUT, CACHED, CACHE_WRITE_5M, CACHE_WRITE_1H)

TOKENS = "tokens"
"""The type of a cost that is of tokens."""


class Unreadable(Exception):
    """A place in a file that can't be read, and why; `reading` names the file to people."""

    def __init__(self, position: str, reason: str) -> None:
        super().__init__(position, reason)
        self.position, self.reason = position, reason


@dataclass(frozen=True, slots=True)
class Fact:
    """A count or a charge of one bucket of time (UTC), by model and kind.

    `quantity` is tokens (searches for `web_search`), `amount` US dollars after discounts and
    `list_amount` before them. A fact with neither says only that the bucket was reported on.
    `detail` holds whatever else tells it from other facts; `position` is its place in the file.
    """

    fact: Kind
    start: datetime
    end: datetime
    position: str
    model: str | None = None
    kind: str | None = None
    quantity: int | None = None
    cost_type: str | None = None
    amount: Decimal | None = None
    list_amount: Decimal | None = None
    tier: str | None = None
    workspace: str | None = None
    api_key: str | None = None
    detail: str = ""
