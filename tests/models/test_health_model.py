"""Health figures against what is worked out of the same events without SQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor
from random import Random
from typing import Any

import pytest

from omniledger.database import connect
from tests.models.conftest import HEALTH, HOURS, INCIDENTS, Marts
from tests.models.health_model import Day, Noted, Server, Stretch, days_between

_WORDS = (
    "healthy", "Healthy ", "HEALTHY", "load", "unhealthy", "Time out", "circuit-open",
    "Circuit_Open", "load failed", "ERROR", "disabled", "MAINTENANCE", "splendid", "", " ",
)  # fmt: skip
_EVENTS = (
    None, "", "health_check", "Health Check", "health_check_failed", "load_failed", "startup",
    "shutdown", "recovery_success", "nonsense",
)  # fmt: skip
_STEPS = (0, 0.3, 1, 29, 60, 300, 300, 899, 900, 901, 4000, 20000, 50000, 100000, 200000)

_SERVERS = """
    alter table omni2.mcp_health_log alter mcp_server_id drop not null;
    alter table omni2.mcp_servers add column health_check_interval integer;
    insert into omni2.mcp_servers (id, name) values (1, 'a'), (2, 'b'), (3, 'c')
"""


def _write(marts: Marts, events: list[Noted]) -> None:
    with connect(marts.dsn) as connection:
        connection.cursor().executemany(
            "insert into omni2.mcp_health_log (id, mcp_server_id, timestamp, status, event_type,"
            " response_time_ms, error_message) values (%s, %s, %s, %s, %s, %s, %s)"
            " on conflict (id) do nothing",
            events,
        )


def _some_events(random: Random, first: datetime, last: datetime) -> list[Noted]:
    """Of three servers and of none, with clocks that are slow, ahead and of 1970."""
    events: list[Noted] = []
    for server in (1, 2, 3):
        at = first + timedelta(seconds=random.randrange(100_000))
        steps = random.choices(_STEPS, k=4)
        while at < last:
            at += timedelta(seconds=random.choice(steps) + random.choice((0, 0, 0.25)))
            if random.random() < 0.02:
                at += timedelta(hours=random.randrange(60))
                steps = random.choices(_STEPS, k=4)
            noted = at + timedelta(seconds=random.choice((0, 0, 0, 0, 0, -400)))
            if random.random() < 0.01:
                noted = random.choice((datetime(1970, 1, 1, tzinfo=UTC), last + timedelta(days=9)))
            for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
                events.append(_noted(random, server, noted, len(events) + 1))
            if sum(steps) < 5:
                at += timedelta(seconds=30)
    events += [events[7]._replace(number=len(events) + 1, server=None)]
    random.shuffle(events)
    return events


def _noted(random: Random, server: int, at: datetime, number: int) -> Noted:
    return Noted(
        number,
        server,
        at + timedelta(seconds=random.choice((0, 0, 0.5))),
        random.choice(_WORDS),
        random.choice(_EVENTS),
        random.choice((None, 0, 7, 7, 120, 3_600_000, 3_600_001, -1, 2_147_483_647)),
        random.choice((None, "", " ", "refused", "reset")),
    )


def _percentile(values: list[int], share: float) -> float | None:
    if not values:
        return None
    place = share * (len(values) - 1)
    low, high = values[floor(place)], values[min(floor(place) + 1, len(values) - 1)]
    return low + (high - low) * (place - floor(place))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _second(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _near(found: Any, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return abs(float(found) - expected) < 1e-6 * max(1, abs(expected))


def _check_day(server: Server, day: Day, row: dict[str, Any]) -> None:
    ends = min(day.ends, server.now)
    seconds = server.within(day.begins, ends)
    assert {state: row[f"{state}_seconds"] for state in seconds} == seconds
    assert row["day_seconds"] == ends - day.begins == sum(seconds.values())
    assert row["check_interval_seconds"] == server.interval(day)
    known, due = seconds["up"] + seconds["down"], row["day_seconds"] - seconds["disabled"]
    assert _near(row["uptime_share"], _share(seconds["up"], known))
    assert _near(row["coverage_share"], _share(known, due))
    assert _near(row["error_budget_left_seconds"], 0.005 * known - seconds["down"])
    assert _near(row["burn_rate"], _share(seconds["down"], 0.005 * known))
    outages = [o for o in server.outages() if o.begins < ends and o.ends > day.begins]
    begun = sum(outage.begins >= day.begins for outage in outages)
    assert (row["outages"], row["incidents"]) == (len(outages), begun)
    longest = max((min(o.ends, ends) - max(o.begins, day.begins) for o in outages), default=0)
    assert row["longest_outage_seconds"] == longest
    assert _near(row["mttr_seconds"], _share(seconds["down"], len(outages)))
    assert _near(row["mtbf_seconds"], _share(seconds["up"], begun))
    _check_events(server.noted(day.begins, day.ends), row)


def _check_events(events: list[Noted], row: dict[str, Any]) -> None:
    states = Counter(event.state for event in events)
    counted = {state: row[f"checks_{state}"] for state in ("up", "down", "disabled")}
    assert Counter(counted) == states
    assert row["checks"] == len(events)
    times = sorted(
        event.response_ms
        for event in events
        if event.response_ms is not None and 0 <= event.response_ms <= 3_600_000
    )
    assert row["responses"] == len(times)
    for percent in (50, 95, 99):
        assert _near(row[f"p{percent}_response_ms"], _percentile(times, percent / 100))


def _check_hours(server: Server, days: list[Day], rows: list[dict[str, Any]]) -> None:
    expected = {}
    for day in days:
        if day.date <= days[-1].date - timedelta(days=7):
            continue
        ends = min(day.ends, server.now)
        for begins in range(day.begins, ends, 3600):
            until = min(begins + 3600, ends)
            checks = len(server.noted(begins, min(begins + 3600, day.ends)))
            seconds = server.within(begins, until)
            expected[begins] = (day.date, until - begins, checks, seconds)
    assert {
        _second(row["hour_at"]): (
            row["health_date"],
            row["hour_seconds"],
            row["checks"],
            {state: row[f"{state}_seconds"] for state in ("unknown", "up", "disabled", "down")},
        )
        for row in rows
    } == expected


def _told(server: Server, outage: Stretch, after: str | None) -> tuple[Any, ...]:
    errors = [e.error.strip() for e in outage.events if e.error and e.error.strip()]
    is_open = outage.ends == server.now
    return (
        outage.begins,
        None if is_open else outage.ends,
        outage.ends,
        None if is_open else after,
        outage.ends - outage.begins,
        len(outage.events),
        errors[0] if errors else None,
        errors[-1] if errors else None,
    )


def _check_incidents(server: Server, rows: list[dict[str, Any]]) -> None:
    stretches = server.stretches()
    expected = [
        _told(server, one, stretches[n + 1].state if n + 1 < len(stretches) else None)
        for n, one in enumerate(stretches)
        if one.state == "down"
    ]
    found = sorted(
        (
            _second(r["opened_at"]), _second(r["closed_at"]), _second(r["last_down_at"]),
            r["ended_as"], r["down_seconds"], r["checks"], r["first_error"], r["last_error"],
        )
        for r in rows
    )  # fmt: skip
    assert found == expected


@dataclass(frozen=True)
class History:
    """Where and when events happen, and how often checks are expected; `stated` is of server 3."""

    zone: str
    first: str
    days: int
    factor: int = 3
    default: int = 300
    stated: int | None = None

    @property
    def begins(self) -> datetime:
        return datetime.fromisoformat(f"{self.first}T00:00+00:00")

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(days=self.days)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "reporting_timezone": self.zone,
            "health_hold_factor": str(self.factor),
            "health_check_interval_seconds": str(self.default),
        }

    def server(self, number: int, events: list[Noted], days: list[Day], now: datetime) -> Server:
        stated = self.stated if number == 3 else None
        return Server.of(
            number, events, days, now, factor=self.factor, default=self.default, stated=stated
        )


# Dates that were skipped, days of 23.5 and 25 hours, midnights that come twice or never, zones of
# odd minutes; states that hold for less than a day and for many.
_HISTORIES = (
    History("Pacific/Apia", "2011-12-26", 11, factor=6),
    History("Australia/Lord_Howe", "2026-10-01", 8, default=86400, stated=600),
    History("Atlantic/Azores", "2026-10-22", 7, factor=5),
    History("Asia/Kathmandu", "2026-03-01", 7, factor=8, default=43200, stated=86400),
    History("Africa/Cairo", "2026-04-21", 7),
)


@pytest.mark.parametrize("history", _HISTORIES, ids=lambda history: history.zone)
def test_any_history_has_the_figures_that_its_events_say(marts: Marts, history: History) -> None:
    random = Random(history.zone)
    events = _some_events(random, history.begins, history.ends)
    earlier = timedelta(hours=random.randrange(1, 40), seconds=7)
    now = random.choice((history.ends, history.ends - earlier))
    with connect(marts.dsn) as connection:
        connection.execute(_SERVERS)
        connection.execute(
            "update omni2.mcp_servers set health_check_interval = %s where id = 3",
            [history.stated],
        )
        connection.execute("update ledger.settings set value = %s where name = 'as_of'", [str(now)])
    # Some come late: what is built bit by bit is what would be built of all at once.
    late = len(events) * 2 // 3
    for some in (events[:late], events[late : late + 3], events[late + 3 :]):
        _write(marts, some)
        marts.run(HEALTH, **history.settings)

    first = min(e.at for e in events if e.server and e.at.year >= 2000)
    days = list(days_between(first, now, history.zone))
    figures = {mart: marts.figures(mart) for mart in (HEALTH, HOURS, INCIDENTS)}
    assert {row["health_date"] for row in figures[HEALTH]} == {day.date for day in days}
    for number in (1, 2, 3):
        server = history.server(number, events, days, now)
        mine = {
            mart: [row for row in rows if row["mcp_server_id"] == number]
            for mart, rows in figures.items()
        }
        by_day = {row["health_date"]: row for row in mine[HEALTH]}
        for day in days:
            _check_day(server, day, by_day[day.date])
        _check_hours(server, days, mine[HOURS])
        _check_incidents(server, mine[INCIDENTS])
