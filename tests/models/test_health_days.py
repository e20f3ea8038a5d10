"""Health figures over days: which of them change, and that every second is accounted for."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from omniledger.database import connect
from tests.conftest import ask
from tests.models.conftest import HEALTH, Marts, Prepared, event_at

FIRST, LAST = "2026-03-01", "2026-03-05"
ALL = tuple(f"2026-03-0{day}" for day in range(1, 6))


def fill(marts: Marts) -> None:
    event_at(marts, f"{FIRST} 12:00+00")
    event_at(marts, f"{FIRST} 12:03+00", "timeout")


@pytest.fixture
def filled(prepared: Prepared) -> Marts:
    return prepared.in_state("health days", fill)


def test_there_is_a_row_for_each_day_up_to_now(filled: Marts) -> None:
    assert tuple(map(str, sorted(filled.built(HEALTH)))) == ALL


def test_an_event_changes_its_day_and_the_next(filled: Marts) -> None:
    late = event_at(filled, "2026-03-03 23:50+00", "timeout")
    with filled.changing(HEALTH, "2026-03-03", "2026-03-04"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "delete from omni2.mcp_health_log where id = %s", late)
    with filled.changing(HEALTH, "2026-03-03", "2026-03-04"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_an_outage_over_midnight_is_one_incident(filled: Marts) -> None:
    for minute in range(-10, 11, 5):
        at = datetime(2026, 3, 3, tzinfo=UTC) + timedelta(minutes=minute)
        event_at(filled, at.isoformat(), "unhealthy")
    filled.run(HEALTH)
    rows = ask(
        filled.dsn,
        "select incidents, down_seconds, longest_outage_seconds"
        " from analytics_build.fct_daily_health"
        " where health_date between '2026-03-02' and '2026-03-03' order by health_date",
    )
    assert rows == [(1, 600, 600), (0, 1500, 1500)]


def test_a_server_that_comes_or_goes_changes_every_day(filled: Marts) -> None:
    ask(filled.dsn, "insert into omni2.mcp_servers (id, name) values (9, 'new')")
    with filled.changing(HEALTH, *ALL):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "delete from omni2.mcp_servers where id = 9")
    with filled.changing(HEALTH, *ALL):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_an_event_before_the_first_adds_the_days_between(filled: Marts) -> None:
    event_at(filled, "2026-02-26 12:00+00")
    with filled.changing(HEALTH, "2026-02-26", "2026-02-27", "2026-02-28"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_the_last_day_grows_with_the_clock(filled: Marts) -> None:
    event_at(filled, "2026-03-06 07:00+00", "disabled")
    filled.run(HEALTH)
    ask(filled.dsn, "update ledger.settings set value = '2026-03-06 08:00:00+00'")
    with filled.changing(HEALTH, "2026-03-06"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    [row] = [r for r in filled.figures(HEALTH) if str(r["health_date"]) == "2026-03-06"]
    assert (row["day_seconds"], row["disabled_seconds"], row["checks"]) == (8 * 3600, 900, 1)
    ask(filled.dsn, "update ledger.settings set value = '2026-03-04 08:00:00+00'")
    with filled.changing(HEALTH, "2026-03-04", "2026-03-05", "2026-03-06"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


_STATES = {"healthy": "up", "timeout": "down", "disabled": "disabled", "what": "down"}
_BADNESS = ("unknown", "up", "disabled", "down")


@pytest.mark.parametrize("seed", range(2))
def test_every_second_is_what_the_events_say(marts: Marts, seed: int) -> None:
    """Against a walk over every second: the last event within the hold time says the state."""
    random = Random(seed)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    events: list[tuple[int, str]] = []
    second = random.randrange(80000)
    while second < 3 * 86400:
        events.append((second, random.choice(list(_STATES))))
        second += random.choice((0, 1, 60, 290, 300, 899, 900, 901, 4000))
    random.shuffle(events)
    with connect(marts.dsn) as connection:
        connection.execute("insert into omni2.mcp_servers (id, name) values (1, 'a')")
        connection.cursor().executemany(
            "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status)"
            " values (1, %s, %s)",
            [(start + timedelta(seconds=second), word) for second, word in events],
        )
    marts.run(HEALTH)

    said: dict[int, str] = {}
    for second, word in events:
        said[second] = max(said.get(second, "unknown"), _STATES[word], key=_BADNESS.index)
    states, state, since = [], "unknown", 0
    for second in range(5 * 86400):
        if second in said:
            state, since = said[second], second
        states.append(state if second < since + 900 else "unknown")
    for row in marts.figures(HEALTH):
        begin = (row["health_date"] - start.date()).days * 86400
        day = states[begin : begin + 86400]
        seconds = Counter(day)
        assert {s: row[f"{s}_seconds"] for s in _BADNESS} == {s: seconds[s] for s in _BADNESS}
        before = states[begin - 1] if begin else "unknown"
        down = "".join("#" if s == "down" else " " for s in day)
        assert row["longest_outage_seconds"] == max(map(len, down.split()), default=0)
        assert row["incidents"] == len(down.split()) - (before == day[0] == "down")
