"""Single values of a bill, read without mercy: what isn't exactly right names its place."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from omniledger.bill.facts import Unreadable

MOST_TOKENS = 10**15
MOST_DOLLARS = Decimal(10) ** 12
"""More than anybody uses in a bucket; beyond it, a column was taken for another."""

_LONGEST = 60
"""Digits of a number; longer ones are no money."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def text(value: Any, position: str) -> str | None:
    """A text, None where it is empty or missing."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unreadable(position, f"{_shown(value)} is no text")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Unreadable(position, "holds a character that no text has")
    return value.strip() or None


def tokens(value: Any, position: str) -> int:
    """A count from zero up."""
    number = _number(value, position)
    if number != number.to_integral_value():
        raise Unreadable(position, f"{_shown(value)} is no whole number")
    if not 0 <= number <= MOST_TOKENS:
        raise Unreadable(position, f"{_shown(value)} is no possible count")
    return int(number)


def dollars(value: Any, position: str) -> Decimal:
    """US dollars; a credit is below zero."""
    number = _number(value, position)
    if abs(number) > MOST_DOLLARS:
        raise Unreadable(position, f"{_shown(value)} is no possible amount")
    return number


def dollars_of_cents(value: Any, position: str) -> Decimal:
    """US dollars of an amount in (fractions of) cents, to the last digit."""
    with localcontext(prec=2 * _LONGEST):
        return dollars(value, position).scaleb(-2)


def in_dollars(currency: Any, position: str) -> None:
    """Refuse every other currency."""
    if currency != "USD":
        raise Unreadable(
            position, f"the currency is {_shown(currency)}; only bills in USD can be imported"
        )


def moment(value: Any, position: str) -> datetime:
    """An RFC 3339 moment, in UTC."""
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Unreadable(position, f"{_shown(value)} is no moment like 2026-03-01T00:00:00Z")


def day(value: Any, position: str) -> tuple[datetime, datetime]:
    """The beginning and the end of a day, given as YYYY-MM-DD."""
    try:
        if _DAY.fullmatch(value):
            start = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
            return start, start + timedelta(days=1)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Unreadable(position, f"{_shown(value)} is no day like 2026-03-01")


def bucket(start: Any, end: Any, position: str) -> tuple[datetime, datetime]:
    """A stretch of time that lies within one day (UTC)."""
    since, until = moment(start, f"{position}.starting_at"), moment(end, f"{position}.ending_at")
    if until <= since:
        raise Unreadable(position, "ends before it begins")
    if (until - timedelta(microseconds=1)).date() != since.date():
        raise Unreadable(position, "is longer than a day; fetch it in buckets of a day (1d)")
    return since, until


def _number(value: Any, position: str) -> Decimal:
    written = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable(position, f"{_shown(value)} is no number")
    try:
        number = Decimal(written)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or "_" in written:
        raise Unreadable(position, f"{_shown(value)} is no number")
    if len(number.as_tuple().digits) > _LONGEST or abs(number.adjusted()) > _LONGEST:
        raise Unreadable(position, f"{_shown(value)} is no possible number")
    return number


def _shown(value: Any) -> str:
    written = "nothing" if value is None or value == "" else repr(value)
    return written if len(written) <= 40 else f"{written[:37]}..."
