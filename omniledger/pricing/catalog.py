"""The price list: what the package genai-prices says, without asking any network.

Of a provider's own models only, so that a name means one price. Left out is what can't be a price
for the time from one moment to another: models that cost more by night than by day, and models
that have no price for both input and output. Tiers by length of context are never used, since a
row of the ledger sums many calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniledger.errors import LocalError
from omniledger.pricing.rates import Priced, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

PROVIDERS = (
    "anthropic",
    "openai",
    "google",
    "deepseek",
    "mistral",
    "x-ai",
    "cohere",
    "meta",
    "moonshotai",
    "zai",
    "minimax",
)
"""Whose own models are listed; what two of them sell has the price of the first."""

_READ_AS = "1"
"""Another number here reads the same list anew."""

_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ListedModel:
    """A model of the list: its own name, other names for it, and its prices in order of time."""

    name: str
    aliases: tuple[str, ...]
    prices: tuple[Priced, ...]


def source() -> str:
    """The name of the list, with its version."""
    return f"genai-prices {version('genai-prices')}"


@cache
def digest() -> str:
    """A digest of the list, which takes milliseconds: the package is not imported.

    Raises:
        LocalError: the package is not installed.
    """
    spec = find_spec("genai_prices")
    if spec is None or spec.origin is None:
        raise LocalError("The price list is missing; install the package genai-prices.")
    data = Path(spec.origin).with_name("data.py").read_bytes()
    return sha256(f"{_READ_AS} {' '.join(PROVIDERS)} ".encode() + data).hexdigest()


def listed_models() -> tuple[ListedModel, ...]:
    """Every model of the list that has a price for a stretch of time."""
    from genai_prices.data import providers

    by_id = {provider.id: provider for provider in providers}
    chosen = [by_id[name] for name in PROVIDERS if name in by_id]
    return tuple(
        listed
        for place, provider in enumerate(chosen)
        for model in provider.models
        if not any(earlier.find_model(model.id) for earlier in chosen[:place])
        and (listed := _listed(provider, model)) is not None
    )


def _listed(provider: Provider, model: ModelInfo) -> ListedModel | None:
    starts = _starts(model)
    if starts is None:
        return None
    prices: list[Priced] = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        rates = _rates(model.get_prices(start or _BEFORE_ALL))
        if rates is None:
            return None
        prices.append(Priced(start, end, rates))
    aliases = (name for name in _names(model.match) if provider.find_model(name) is model)
    return ListedModel(model.id, tuple(sorted(set(aliases))), tuple(prices))


def _starts(model: ModelInfo) -> list[datetime | None] | None:
    """When each of its prices begins, the first one ever; None where hours of the day matter."""
    from genai_prices.types import StartDateConstraint

    days = set()
    for one in model.prices if isinstance(model.prices, list) else ():
        if isinstance(one.constraint, StartDateConstraint):
            days.add(one.constraint.start_date)
        elif one.constraint is not None:
            return None
    return [None, *(datetime.combine(day, time.min, UTC) for day in sorted(days))]


def _rates(price: ModelPrice) -> Rates | None:
    rates = [
        _base(getattr(price, name))
        for name in (
            "input_mtok",
            "output_mtok",
            "cache_read_mtok",
            "cache_write_mtok",
            "cache_write_1h_mtok",
        )
    ]
    if rates[0] is None or rates[1] is None:
        return None
    return Rates(rates[0], rates[1], *rates[2:])


def _base(price: Any) -> Decimal | None:
    base: Decimal | None = getattr(price, "base", price)
    return base


def _names(match: Any) -> Iterator[str]:
    """The names in a model's own rule of what it is called."""
    for one in getattr(match, "or_", None) or [match]:
        name = getattr(one, "equals", None) or getattr(one, "starts_with", None)
        if name:
            yield str(name)
