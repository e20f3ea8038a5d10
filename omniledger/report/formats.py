"""How figures are written for people: exact money, whole counts, honest shares."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal

from omniledger.counting import plural as plural
from omniledger.strangers import visible as visible

NOT_KNOWN = "not known"
NOT_RECORDED = "not recorded"

_ADDRESS = re.compile(r"\S@\S+\.\S")
_MINUS = "\N{MINUS SIGN}"


def usd(amount: Decimal | None, *, plus: bool = False) -> str:
    """US dollars to the last digit that the ledger has, and at least to the cent.

    >>> usd(Decimal("15.43156320"))
    '$15.4315632'
    """
    if amount is None or not amount.is_finite():
        return NOT_KNOWN
    whole, _, cents = f"{amount.copy_abs():,f}".partition(".")
    cents = cents.rstrip("0").ljust(2, "0")
    sign = _MINUS if amount < 0 else "+" if plus and amount > 0 else ""
    return f"{sign}${whole}.{cents}"


def count(number: int | None) -> str:
    """A whole number with separators; a figure that nobody wrote is not zero."""
    return NOT_RECORDED if number is None else f"{number:,}".replace("-", _MINUS)


def exact(number: Decimal | None) -> str:
    """A sum to its last digit, without the zeros that end it."""
    if number is None:
        return NOT_RECORDED
    text = f"{number:,f}".replace("-", _MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(part: Decimal | None, places: int = 2) -> str:
    """A share as a percentage, rounded down: 99.999 % up is not 100 %."""
    if part is None:
        return NOT_KNOWN
    step = Decimal(1).scaleb(-places)
    text = f"{(part * 100).quantize(step, ROUND_DOWN):f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def part_of(part: int, whole: int) -> str:
    """`part` as a percentage of `whole`; a small part is never nothing."""
    text = share(Decimal(part) / whole if whole else None, 1)
    return "< 0.1 %" if part > 0 and text == "0 %" else text


def duration(seconds: int | Decimal | None) -> str:
    """A length of time in its two largest units, like `1 h 20 min`."""
    if seconds is None:
        return NOT_KNOWN
    if seconds < 0:
        return _MINUS + duration(-seconds)
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 1:
        return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def seconds(number: Decimal | None) -> str:
    """A short time, to the tenth of a second."""
    return NOT_KNOWN if number is None else f"{number.quantize(Decimal('0.1')):,f} s"


def milliseconds(number: Decimal | None) -> str:
    """A response time, to the millisecond."""
    return NOT_KNOWN if number is None else f"{number.quantize(Decimal(1)):,f} ms"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return NOT_KNOWN if at is None else f"{day(at.astimezone(UTC))}, {at.astimezone(UTC):%H:%M} UTC"


def day(of: date) -> str:
    """A day as people write it, like `16 Nov 2023`."""
    return f"{of.day} {of:%b} {of.year}"


def holds_address(text: str) -> bool:
    """Whether there is something like an e-mail address in it."""
    return _ADDRESS.search(text) is not None
