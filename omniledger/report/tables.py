"""Each table of the report as CSV, inside the page: the same values, exact and unformatted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from omniledger.cells import cell

_PLAIN = "!$()*+,-./:;=?@[]_~"
"""Characters that stand for themselves in a data URI, and mean nothing in HTML."""


def csv_of(rows: Sequence[Any]) -> str:
    """Rows, all of one dataclass, as CSV with a header; a dataclass inside one is its columns."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if rows:
        writer.writerow(name for name, _ in _columns(rows[0]))
    writer.writerows([cell(value) for _, value in _columns(row)] for row in rows)
    return text.getvalue()


def csv_link(rows: Sequence[Any]) -> Markup:
    """The CSV as a data URI, safe inside an attribute."""
    # Spreadsheets tell UTF-8 by its mark.
    return Markup("data:text/csv;charset=utf-8,%EF%BB%BF" + quote(csv_of(rows), safe=_PLAIN))  # noqa: S704


def _columns(row: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(row):
        value = getattr(row, field.name)
        if is_dataclass(value):
            yield from _columns(value)
        else:
            yield field.name, value
