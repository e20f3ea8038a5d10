"""Values as cells of CSV: exact, in UTC, and nothing that a spreadsheet or a terminal obeys.

People open CSV in these; programs that need each byte of a text have the marts, and Parquet.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from omniledger.strangers import harmless

_FORMULA = ("=", "+", "-", "@", "\t", "\n")
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
    if not isinstance(value, str):
        return str(value)
    written = harmless(value)
    return f"'{written}" if written.startswith(_FORMULA) else written
