"""Values as cells of CSV: exact, in UTC, and never a formula of a spreadsheet."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""


def cell(value: Any) -> str:
    """NULL is empty, numbers are written out, times are ISO 8601, text is only text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    written = str(value)
    return f"'{written}" if written.startswith(_FORMULA) and isinstance(value, str) else written
