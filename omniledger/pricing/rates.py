"""The prices of one model in one stretch of time, in US dollars per million tokens."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal, localcontext

_DIGITS = 100
"""More than a price times a share has."""


@dataclass(frozen=True)
class Rates:
    """What a million tokens of each kind cost; None where that is not known."""

    input: Decimal
    output: Decimal
    cached_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None

    def values(self) -> tuple[Decimal | None, ...]:
        """The five prices, in the order of the columns of `ledger.model_prices`."""
        return astuple(self)

    def less(self, share: Decimal) -> Rates:
        """The same with a share (0 to 1) taken off each, to the last digit."""
        with localcontext(prec=_DIGITS):
            left = 1 - share
            return Rates(
                self.input * left,
                self.output * left,
                *(None if price is None else price * left for price in self.values()[2:]),
            )


@dataclass(frozen=True)
class Priced:
    """Rates from a moment on, until before another; None is for ever, in either direction."""

    valid_from: datetime | None
    valid_to: datetime | None
    rates: Rates


RATE_COLUMNS = ("input", "output", "cached_read", "cache_write_5m", "cache_write_1h")
