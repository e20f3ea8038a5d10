"""Moments and figures as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from omniledger.errors import InputError
from omniledger.settings import get_settings


def moment(text: str, timezone: str) -> datetime:
    """A time such as `2026-03-01` or `2026-03-01T12:00+01:00`.

    Args:
        text: ISO 8601; `now` is now.
        timezone: the zone of a time that names none.

    Raises:
        InputError: it is no time, or in UTC lies beyond all years.
    """
    if text.strip().lower() == "now":
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text.strip())
        at = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(timezone))
        # PostgreSQL would take a year before the first or after the last, and Python not read it.
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{text} is no time; write it like 2026-03-01 or 2026-03-01T12:00+01:00."
        ) from None
    return at


def stated(text: str | None) -> datetime | None:
    """The time that an operator states, in the reporting time zone where it names none.

    Raises:
        InputError: it is no time, or in UTC lies beyond all years.
    """
    return None if text is None else moment(text, get_settings().reporting_timezone)


def in_utc(at: datetime, *, with_seconds: bool = False) -> str:
    """A time as people read it: in UTC, which it says."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M{':%S' if with_seconds else ''}} UTC"


def since(start: datetime | None) -> str:
    """From when on something holds that an operator stated; None is ever."""
    return "ever" if start is None else start.isoformat()


def number(text: str) -> Decimal:
    """A decimal number, exact.

    Raises:
        InputError: it is none.
    """
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        raise InputError(f"{text} is no number; write it like 0.80.") from None
