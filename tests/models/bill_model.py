"""How a bill differs from a ledger and why, worked out without SQL by the words of docs/bill.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tests.models.bill import CAUSES
from tests.models.money_model import (
    KINDS,
    MILLION,
    Price,
    Request,
    day_of,
    list_price_at,
    price_at,
)

Cell = tuple[date, str, str]
"""A day, a model and a kind of tokens."""


@dataclass
class Side:
    """What the ledger has of a cell: tokens, what it holds, and that at the prices in force."""

    tokens: Fraction = Fraction(0)
    ledger_usd: Fraction = Fraction(0)
    priced_usd: Fraction = Fraction(0)


class _Alike(NamedTuple):
    """What requests share that are dealt out together."""

    day: date
    utc: date
    user: int | None
    model: str
    basis: str
    has_split: bool
    rates: tuple[Decimal | None, ...] | None
    listed: tuple[Decimal | None, ...] | None


def by_kind(
    requests: Iterable[Request], prices: tuple[Price, ...], zone: str
) -> Iterator[tuple[date, date, str, str, Side]]:
    """Each kind's part: of a day of the zone and of UTC, and a model.

    Requests that are alike in all but their tokens are dealt out together.
    """
    groups: dict[_Alike, list[Request]] = defaultdict(list)
    for r in requests:
        is_computed = r.computed(prices) is not None
        basis = "computed" if is_computed else r.basis(prices)
        here = price_at(prices, r.model, r.at) if is_computed else None
        listed = _or(list_price_at(prices, r.model, r.at), here) if here else None
        days = day_of(r.at, zone), day_of(r.at, "UTC")
        rates = here.rates if here else None
        groups[_Alike(*days, r.user, r.model, basis, r.has_split, rates, listed)].append(r)
    for group, alike in groups.items():
        for kind, side in _dealt_out(alike, prices, group):
            if side.tokens or side.ledger_usd:
                yield group.day, group.utc, group.model, kind, side


def _or(listed: Price | None, own: Price) -> tuple[Decimal | None, ...]:
    rates = listed.rates if listed else (None,) * 4
    return tuple(o if r is None else r for r, o in zip(rates, own.rates, strict=True))


def _dealt_out(
    alike: list[Request], prices: tuple[Price, ...], group: _Alike
) -> Iterator[tuple[str, Side]]:
    amount = _sum(r.ledger_usd(prices) for r in alike)
    is_computed = group.rates is not None
    if not group.has_split:
        yield "unsplit", Side(_sum(r.tokens_total for r in alike), amount, amount)
        return
    counts = [_sum(r.tokens[n] for r in alike) for n in range(4)]
    weights = counts
    if group.rates is not None:
        weights = [
            count * Fraction(rate or 0) / MILLION
            for count, rate in zip(counts, group.rates, strict=True)
        ]
    whole, so_far = sum(weights, Fraction(0)), Fraction(0)
    for kind, count, weight in zip(KINDS, counts, weights, strict=True):
        before, so_far = so_far, so_far + weight
        part = _cut(amount, so_far, whole) - _cut(amount, before, whole)
        yield kind, Side(count, part, weight if is_computed else part)
    if whole == 0:
        yield "unsplit", Side(Fraction(0), amount, Fraction(0) if is_computed else amount)


def _cut(amount: Fraction, weight: Fraction, whole: Fraction) -> Fraction:
    """What the amount comes to up to a weight, cut to twelve decimals."""
    if whole == 0:
        return Fraction(0)
    if weight == whole:
        return amount
    return Fraction(int(amount * weight / whole * 10**12), 10**12)


class Count(NamedTuple):
    """Tokens that the provider counted; `model` is what its name means."""

    day: date
    model: str
    kind: str
    tokens: int
    tier: str | None = None


class Charge(NamedTuple):
    """What the provider charges; without a kind it is of no tokens."""

    day: date
    model: str
    kind: str | None
    usd: Decimal
    list_usd: Decimal | None = None
    tier: str | None = None


def _ledger_kind(kind: str) -> str:
    return "cache_write" if kind.startswith("cache_write") else kind


def _worth(count: Count, prices: tuple[Price, ...], *, as_ledger: bool) -> Fraction | None:
    """A count at the price with which its day begins; `as_ledger`: as if kept for five minutes."""
    begins = datetime.combine(count.day, datetime.min.time(), UTC)
    price = price_at(prices, count.model, begins)
    if price is None:
        return None
    five_minutes = price.rates[KINDS.index(_ledger_kind(count.kind))]
    rate = price.for_an_hour if count.kind == "cache_write_1h" else five_minutes
    if as_ledger and five_minutes is not None:
        rate = five_minutes
    return None if rate is None else Fraction(count.tokens) * Fraction(rate) / MILLION


def _listed(prices: tuple[Price, ...], counts: Iterable[Count]) -> list[Fraction | None]:
    """What counts are worth by the list, and at the own price where the list has none."""
    listed = tuple(price for price in prices if not price.is_own)
    found = []
    for count in counts:
        worth = _worth(count, listed, as_ledger=False)
        found.append(_worth(count, prices, as_ledger=False) if worth is None else worth)
    return found


def _is_tiered(fact: Count | Charge) -> bool:
    return (fact.tier or "standard") != "standard"


def _sum(amounts: Iterable[Fraction | Decimal | int | None]) -> Fraction:
    return sum((Fraction(amount) for amount in amounts if amount is not None), Fraction(0))


@dataclass(frozen=True)
class Books:
    """A ledger and a bill, over days of a reporting time zone."""

    requests: tuple[Request, ...]
    prices: tuple[Price, ...]
    counts: tuple[Count, ...]
    charges: tuple[Charge, ...]
    zone: str
    billed_names: Mapping[str, str]
    """What bill and ledger call a model, where it is not as the ledger does."""

    def reconciled(self) -> dict[Cell, dict[str, Fraction | None]]:
        """Each cell's figures, causes by their names."""
        local, theirs = defaultdict[Cell, Side](Side), defaultdict[Cell, Side](Side)
        days = {count.day for count in self.counts} | {charge.day for charge in self.charges}
        for day, utc, model, kind, side in by_kind(self.requests, self.prices, self.zone):
            called = self.billed_names.get(model, model)
            for found, at in ((local, day), (theirs, utc)):
                if at in days:
                    cell = found[at, called, kind]
                    cell.tokens += side.tokens
                    cell.ledger_usd += side.ledger_usd
                    cell.priced_usd += side.priced_usd
        billed = {(c.day, c.model, _ledger_kind(c.kind)) for c in self.counts}
        billed |= {(c.day, c.model, _ledger_kind(c.kind or "other")) for c in self.charges}
        seen = {(day, model) for (day, model, _), side in theirs.items() if side.tokens}
        return {
            cell: self._cell(
                cell,
                local.get(cell, Side()),
                theirs.get(cell, Side()),
                is_seen=cell[:2] in seen,
            )
            for cell in {*local, *theirs, *billed}
        }

    def _cell(
        self, cell: Cell, local: Side, ours: Side, *, is_seen: bool
    ) -> dict[str, Fraction | None]:
        day, _, kind = cell
        counts = [c for c in self.counts if (c.day, c.model, _ledger_kind(c.kind)) == cell]
        charges = [
            c for c in self.charges if (c.day, c.model, _ledger_kind(c.kind or "other")) == cell
        ]
        is_usage_known = any(c.day == day for c in self.counts)
        is_cost_known = any(c.day == day for c in self.charges)
        worth = [_worth(c, self.prices, as_ledger=False) for c in counts]
        is_valued = is_usage_known and not any(
            w is None and c.tokens for w, c in zip(worth, counts, strict=True)
        )
        charged = _sum(c.usd for c in charges)
        billed = charged if is_cost_known else _sum(worth) if is_valued else None
        found: dict[str, Fraction | None] = dict.fromkeys(CAUSES, Fraction(0))
        found["ledger_tokens"], found["ledger_usd"] = ours.tokens, local.ledger_usd
        found["billed_tokens"] = _sum(c.tokens for c in counts) if is_usage_known else None
        found["billed_usd"] = billed
        found["day_boundary"] = ours.ledger_usd - local.ledger_usd
        found["price"] = ours.priced_usd - ours.ledger_usd
        if kind == "other":
            found["other"] = charged
        elif not is_valued:
            found["unexplained"] = None if billed is None else billed - ours.priced_usd
        else:
            as_ledger = _sum(_worth(c, self.prices, as_ledger=True) for c in counts)
            more, longer = as_ledger - ours.priced_usd, _sum(worth) - as_ledger
            if not is_seen:
                found["unseen"] = more + longer
            elif kind == "cache_write" and not ours.tokens:
                found["cache_write"] = more + longer
            else:
                found["token_count"], found["cache_write"] = more, longer
            if is_cost_known:
                found.update(_rates_of(counts, charges, worth, _listed(self.prices, counts)))
        return found


def _rates_of(
    counts: list[Count],
    charges: list[Charge],
    worth: list[Fraction | None],
    listed: list[Fraction | None],
) -> dict[str, Fraction | None]:
    """Why what was counted is charged with other dollars than it is worth."""
    tells_tiers = all(
        any(fact.tier is not None for fact in facts) for facts in (counts, charges or counts)
    )
    tiered = [c for c in charges if tells_tiers and _is_tiered(c)]
    plain = [c for c in charges if c not in tiered]
    of_tiers = [tells_tiers and _is_tiered(c) for c in counts]
    tiered_worth = _sum(w for w, is_tiered in zip(worth, of_tiers, strict=True) if is_tiered)
    plain_worth = _sum(worth) - tiered_worth
    plain_listed = _sum(w for w, is_tiered in zip(listed, of_tiers, strict=True) if not is_tiered)
    has_list = bool(charges) and all(c.list_usd is not None for c in charges)
    before = _sum(c.list_usd for c in plain) if has_list else plain_listed
    return {
        "tier": _sum(c.usd for c in tiered) - tiered_worth,
        "discount": (_sum(c.usd for c in plain) - plain_worth) - (before - plain_listed),
        "list_price": before - plain_listed,
    }
