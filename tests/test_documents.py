"""What `--json` prints is written the same way by every command."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from omniledger.documents import print_document


@dataclass(frozen=True)
class Thing:
    """Something with everything in it."""

    at: datetime
    day: date
    cost: Decimal
    run: UUID
    name: str
    left: int | None


def test_times_are_utc_and_numbers_exact(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 3, 1, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    thing = Thing(at, date(2026, 3, 1), Decimal("1.20E+3"), UUID(int=7), "é\x1b[2J", None)
    print_document({"things": [thing], "at": at.astimezone(UTC)})
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said) == {
        "things": [
            {
                "at": "2026-03-01T00:30:00+00:00",
                "day": "2026-03-01",
                "cost": "1200",
                "run": "00000000-0000-0000-0000-000000000007",
                "name": "é\x1b[2J",
                "left": None,
            }
        ],
        "at": "2026-03-01T00:30:00+00:00",
    }
