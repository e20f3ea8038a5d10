"""That the database is away is told once, and that it is back once, though it can't keep it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omniledger.database import Dsn
from omniledger.ports import free_port
from tests.alerts.test_alerts import Receiver, end_run, other, receiver, refused
from tests.migrations.operator import Said, omniledger

__all__ = ["other", "receiver", "refused"]


class Operator:
    """`omniledger alerts look` by cron, on a database that may be away."""

    def __init__(self, dsn: Dsn, home: Path) -> None:
        self.there = dsn
        self.away = replace(dsn, host="127.0.0.1", port=free_port())
        self.home = home

    def look(self, dsn: Dsn, *receivers: Receiver, quiet: str = "") -> Said:
        return omniledger(
            dsn,
            *("alerts", "look", "--json"),
            OMNILEDGER_HOME=str(self.home),
            OMNILEDGER_ALERTS=" ".join(one.url.get_secret_value() for one in receivers),
            OMNILEDGER_ALERTS_QUIET=quiet,
        )


@pytest.fixture
def operator(refused: Dsn, tmp_path: Path) -> Operator:
    end_run(refused, "published")
    return Operator(refused, tmp_path)


def test_a_database_that_is_away_is_told_once_and_its_return_once(
    operator: Operator, receiver: Receiver
) -> None:
    for _ in range(3):
        assert operator.look(operator.away, receiver).code == 3
    [begun] = receiver.messages
    assert begun["title"] == "omniledger: 1 new"
    assert begun["message"].startswith("Now: the watch can't look: ")
    assert f"{operator.away.host}:{operator.away.port}" in begun["message"]
    for _ in range(3):
        assert operator.look(operator.there, receiver).document()["wrong"] == 0
    [_, over] = receiver.messages
    assert over["title"] == "omniledger: 1 over"
    assert over["message"] == begun["message"].replace("Now", "Over", 1)


def test_a_channel_that_missed_it_is_told_at_the_next_look(
    operator: Operator, receiver: Receiver, other: Receiver
) -> None:
    other.is_down = True
    operator.look(operator.away, receiver, other)
    other.is_down = False
    operator.look(operator.away, receiver, other)
    assert [len(one.messages) for one in (receiver, other)] == [1, 1]
    receiver.is_down = True
    operator.look(operator.there, receiver, other)
    receiver.is_down = False
    operator.look(operator.there, receiver, other)
    assert [len(one.messages) for one in (receiver, other)] == [2, 2]


def test_what_came_and_went_in_the_quiet_hours_is_no_news(
    operator: Operator, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    quiet = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    operator.look(operator.away, receiver, quiet=quiet)
    operator.look(operator.there, receiver)
    assert receiver.messages == []
