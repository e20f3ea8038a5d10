"""The report's charts of servers along time: each day, and each of the last hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from markupsafe import Markup

from omniledger.report import formats, shapes
from omniledger.report.health import HealthFigures, ServerHealth
from omniledger.report.hours import HourHealth, Hours
from omniledger.report.shapes import Record, calendar_of, record, short_names
from omniledger.report.svg import HATCH, draw

SERVERS_SHOWN = 12
"""More rows than these are left to the table beside the chart."""

DOWN_AT_LEAST = 8
"""Less time down than one part of so many of a day is drawn as that: it would not be seen."""

_HOURS_APART = (1, 2, 3, 6, 12, 24)
"""From one hour that is named below a chart to the next."""

_ACROSS = 760
"""The width, in pixels, of a picture that has no table beside it."""

_STATES = {"Up": "var(--up)", "Down": "var(--down)", "Unknown": HATCH, "Disabled": "var(--quiet)"}


def health(figures: HealthFigures) -> Markup:
    """Each server's days, as bars of up, down, unknown and disabled time."""
    shown = figures.servers[:SERVERS_SHOWN]
    names = dict(
        zip((s.server_id for s in shown), short_names(s.server for s in shown), strict=True)
    )
    records = [
        one
        for day in reversed(figures.days)
        if day.server_id in names
        for one in _health_records(day, names[day.server_id])
    ]
    days = calendar_of(figures.first_day, figures.last_day)
    return draw(
        "health",
        "Time that each server was up, down, unknown or disabled, by day.",
        lambda width: shapes.strips(records, width, _STATES, [*names.values()], days),
        wide=_ACROSS,
    )


def hours(figures: Hours) -> Markup:
    """The last hours of the least healthy servers, as bars of up, down, unknown and disabled."""
    servers = list(dict.fromkeys(hour.server for hour in figures.drawn))
    names = dict(zip(servers, short_names(servers), strict=True))
    records = [
        record(
            names[hour.server], state, seconds, "", f"{hour.hour_at.astimezone(UTC):%Y-%m-%dT%H}"
        )
        | {"hover": f"{hour.server}, {formats.moment(hour.hour_at)}: {state.lower()} {time}"}
        for hour in figures.drawn
        for state, seconds in zip(_STATES, _states_of(hour), strict=True)
        if seconds
        for time in (formats.duration(seconds),)
    ]
    every = sorted({one["day"] for one in records})
    return draw(
        "hours",
        "Time that each server was up, down, unknown or disabled, by hour.",
        lambda width: shapes.strips(
            records,
            width,
            _STATES,
            [*names.values()],
            every,
            words=shapes.hour_words,
            steps=_HOURS_APART,
        ),
        wide=_ACROSS,
    )


def _states_of(health: ServerHealth | HourHealth) -> tuple[int, int, int, int]:
    """Seconds in the order of the states."""
    return (
        health.up_seconds,
        health.down_seconds,
        health.unknown_seconds,
        health.disabled_seconds,
    )


def _health_records(health: ServerHealth, name: str) -> Iterator[Record]:
    states = _states_of(health)
    least = sum(states) // DOWN_AT_LEAST
    for state, seconds in zip(_STATES, states, strict=True):
        if seconds:
            time = formats.duration(seconds)
            day = health.day.isoformat() if health.day is not None else ""
            hover = f"{health.server}, {day}: {state.lower()} {time}"
            drawn = max(seconds, least) if state == "Down" else seconds
            yield record(name, state, drawn, time, day) | {"hover": hover}
