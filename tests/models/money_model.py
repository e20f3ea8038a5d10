"""What tokens cost and what counts against a limit, worked out without SQL.

All amounts are fractions, so nothing is ever rounded. Nothing here is taken from the models: days
come from Python's own time zones, and prices from a walk over what was stated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

MILLION = 10**6
KINDS = ("input", "output", "cached", "cache_write")
DEFAULT_MODEL = "claude-3-5-haiku"


def possible(figure: int | Decimal | None) -> Fraction | None:
    """A count or an amount that can be; what can't is not known."""
    if figure is None or (isinstance(figure, Decimal) and not figure.is_finite()):
        return None
    return Fraction(figure) if 0 <= figure <= 10**12 else None


class Price(NamedTuple):
    """US dollars per million tokens of each kind, from one moment until before another."""

    model: str
    is_own: bool
    since: datetime
    until: datetime | None
    rates: tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]
    for_an_hour: Decimal | None = None


def price_at(prices: Iterable[Price], model: str, at: datetime) -> Price | None:
    """The operator's last price that has begun, where it hasn't ended; else the list's."""
    of_model = [price for price in prices if price.model == model and price.since <= at]
    for is_own in (True, False):
        begun = [price for price in of_model if price.is_own is is_own]
        last = max(begun, key=lambda price: price.since, default=None)
        if last is not None and (last.until is None or last.until > at):
            return last
    return None


def list_price_at(prices: Iterable[Price], model: str, at: datetime) -> Price | None:
    """The same as if the operator had stated nothing."""
    return price_at([price for price in prices if not price.is_own], model, at)


@dataclass(frozen=True)
class Request:
    """A row of the ledger, and the model that its name means."""

    number: int
    at: datetime
    user: int | None
    model: str
    tokens: tuple[int | None, int | None, int | None, int | None]
    total: int | None
    cost: Decimal | None
    success: bool

    def filled_in(self, prices: Iterable[Price]) -> Request:
        """With the total and the cost that the ledger writes down where a writer left them out."""
        if any(count is not None and count < 0 for count in self.tokens) or self.tokens[:2] == (
            None,
            None,
        ):
            return self
        whole = sum(count or 0 for count in self.tokens)
        total = whole if self.total is None and whole < 2**31 else self.total
        cost = self.cost
        computed = self.computed(prices)
        if cost is None and computed is not None:
            cost = Decimal(computed.numerator) / Decimal(computed.denominator)
        return Request(
            self.number, self.at, self.user, self.model, self.tokens, total, cost, self.success
        )

    @property
    def has_split(self) -> bool:
        """Whether its tokens are known by kind."""
        return None not in self.tokens[:2] and not self.is_split_impossible

    @property
    def is_split_impossible(self) -> bool:
        return any(count is not None and possible(count) is None for count in self.tokens)

    @property
    def tokens_total(self) -> Fraction | None:
        said = possible(self.total)
        known = [count for kind in self.tokens if (count := possible(kind)) is not None]
        return said if said is not None or not known else sum(known, Fraction(0))

    @property
    def recorded(self) -> Fraction | None:
        return possible(self.cost)

    def computed(self, prices: Iterable[Price]) -> Fraction | None:
        """What its tokens cost; unknown where a price that is needed is."""
        price = price_at(prices, self.model, self.at)
        if price is None or not self.has_split:
            return None
        cost = Fraction(0)
        for place, (count, rate) in enumerate(zip(self.tokens, price.rates, strict=True)):
            if place < 2 or count:
                if rate is None:
                    return None
                cost += Fraction(count or 0) * Fraction(rate) / MILLION
        return cost

    def estimated(self, prices: Iterable[Price]) -> Fraction | None:
        """A total without its kinds, all of it as input."""
        price, total = price_at(prices, self.model, self.at), possible(self.total)
        if price is None or price.rates[0] is None or total is None:
            return None
        if None not in (possible(self.tokens[0]), possible(self.tokens[1])):
            return None
        return total * Fraction(price.rates[0]) / MILLION

    def basis(self, prices: Iterable[Price]) -> str:
        """How its cost is known."""
        if self.recorded is not None:
            return "recorded"
        if self.computed(prices) is not None:
            return "computed"
        return "unknown" if self.estimated(prices) is None else "estimated"

    def ledger_usd(self, prices: Iterable[Price]) -> Fraction | None:
        known = (self.recorded, self.computed(prices), self.estimated(prices))
        return next((usd for usd in known if usd is not None), None)


class Limit(NamedTuple):
    """What a user, or everybody, may spend in a day, from a moment on."""

    user: int | None
    since: datetime
    usd: Decimal


class Day(NamedTuple):
    """A day of the reporting time zone."""

    date: date
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Used:
    """What a user used of a day's limit."""

    rows: int
    tokens: Fraction
    tokens_unpriced: Fraction
    usd: Fraction
    limit: Fraction
    crossed_at: datetime | None


def used_of(
    requests: Iterable[Request], day: Day, user: int, limits: Iterable[Limit], price: Price | None
) -> Used | None:
    """What a user used in a day, at `price` for tokens of which nobody knows the cost."""
    mine = [r for r in requests if r.user == user and r.success and day.begins <= r.at < day.ends]
    if not mine:
        return None
    rate = Fraction(0) if price is None or price.rates[0] is None else Fraction(price.rates[0])
    limit = limit_of(limits, day, user)
    usd, unpriced, crossed = Fraction(0), Fraction(0), None
    for request in sorted(mine, key=lambda r: (r.at, r.number)):
        if request.recorded is not None:
            usd += request.recorded
        else:
            unpriced += possible(request.total) or 0
            usd += (possible(request.total) or 0) * rate / MILLION
        if usd >= limit and crossed is None:
            crossed = request.at
    tokens = sum((possible(r.total) or Fraction(0) for r in mine), Fraction(0))
    return Used(len(mine), tokens, unpriced, usd, limit, crossed)


def limit_of(limits: Iterable[Limit], day: Day, user: int) -> Fraction:
    """The limit last noted before the day's end, the user's own before everybody's."""
    noted = [limit for limit in limits if limit.since < day.ends]
    mine = [limit for limit in noted if limit.user == user]
    chosen = mine or [limit for limit in noted if limit.user is None]
    last = max(limit.since for limit in chosen)
    return Fraction(min(limit.usd for limit in chosen if limit.since == last))


def day_of(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()
