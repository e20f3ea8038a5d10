"""Reading a trace of real requests."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from omniledger.errors import InputError

HEADER = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]

_LARGEST = 1_000_000_000
"""No model takes as many tokens, and two of them still fit the total's type."""

Request = tuple[int, datetime, int, int]
"""Number of the line, arrival time, input tokens, output tokens."""


def read(path: Path) -> Iterator[Request]:
    """Give each request of a trace file.

    The form is that of the Azure LLM inference trace 2023: a header, then UTC time, input tokens
    and output tokens on each line. A byte order mark and empty lines are passed over.

    Raises:
        InputError: the file can't be read, has another header, or a line is broken; it is named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != HEADER:
                raise InputError(f"{path} is no trace: its first line must be {','.join(HEADER)}.")
            for fields in lines:
                if fields:
                    yield _request(path, lines.line_num, fields)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no text file: {error}.") from None


def _request(path: Path, number: int, fields: list[str]) -> Request:
    try:
        time, tokens_input, tokens_output = fields
        at = datetime.fromisoformat(time)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        counts = int(tokens_input), int(tokens_output)
        if not all(0 <= tokens <= _LARGEST for tokens in counts):
            raise ValueError
    except (ValueError, OverflowError):
        raise InputError(
            f"Line {number} of {path} is broken: it must hold a time and two token counts, like "
            "2023-11-16 18:17:03.9799600,4808,10."
        ) from None
    return number, at, *counts
