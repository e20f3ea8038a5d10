"""What the figures of health must be, worked out of the events without SQL.

Moments are whole seconds since 1970. Nothing here is taken from the models: days come from Python's
own time zones, and states from a walk over the events in the order of time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

_UP = {"healthy", "load", "startup", "healthchecksuccess", "recoverysuccess"}
_DISABLED = {"disabled", "maintenance", "shutdown"}
_WORST_LAST = ("unknown", "up", "disabled", "down")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Noted(NamedTuple):
    """A row of the health log."""

    number: int
    server: int | None
    at: datetime
    status: str | None = None
    event_type: str | None = None
    response_ms: int | None = None
    error: str | None = None

    @property
    def second(self) -> int:
        return int(self.at.timestamp() // 1)

    @property
    def word(self) -> str:
        """Its letters: of the status, or, where there is none, of the event."""
        return _letters(self.status) or _letters(self.event_type)

    @property
    def state(self) -> str:
        if self.word in _UP:
            return "up"
        return "disabled" if self.word in _DISABLED else "down"

    @property
    def is_check(self) -> bool:
        return not _letters(self.event_type) or _letters(self.event_type).startswith("healthcheck")


class Day(NamedTuple):
    """A day of the reporting time zone."""

    date: date
    begins: int
    ends: int


class Stretch(NamedTuple):
    """Time in one state, and the events that say so."""

    state: str
    begins: int
    ends: int
    events: tuple[Noted, ...] = ()


def _letters(text: str | None) -> str:
    return re.sub(r"[ \t\r\n_-]", "", text or "").lower()


def days_between(first: datetime, last: datetime, zone: str) -> Iterator[Day]:
    """The days from the one of `first` on that have begun by `last`; the last one isn't over."""
    local = ZoneInfo(zone)
    until = int(last.timestamp())
    quarter = int(first.timestamp()) // 900 * 900 - 2 * 86400
    began: dict[date, int] = {}
    while quarter <= until + 3 * 86400:
        began.setdefault(datetime.fromtimestamp(quarter, local).date(), quarter)
        quarter += 900
    for (day, begins), (_, ends) in pairwise(sorted(began.items())):
        if begins < until and ends > first.timestamp():
            yield Day(day, begins, ends)


@dataclass(frozen=True)
class Server:
    """One server's events that have happened by `now`, over days of the reporting time zone."""

    events: tuple[Noted, ...]
    days: tuple[Day, ...]
    now: int
    factor: int = 3
    stated: int | None = None
    default: int = 300

    @classmethod
    def of(
        cls,
        number: int,
        events: Iterable[Noted],
        days: Iterable[Day],
        now: datetime,
        **more: int | None,
    ) -> Server:
        mine = (
            e
            for e in events
            if e.server == number and _EARLIEST <= e.at < now + timedelta(seconds=1)
        )
        order = sorted(mine, key=lambda e: (e.at, _WORST_LAST.index(e.state), e.number))
        return cls(tuple(order), tuple(days), int(now.timestamp()), **more)  # type: ignore[arg-type]

    def interval(self, day: Day) -> int:
        """How often the server is expected to be checked on a day, in seconds."""
        if self.stated:
            return self.stated
        before = [d.begins for d in self.days if d.begins < day.begins]
        begins = before[-1] if before else 0
        checks = [
            e.second for e in self.events if begins <= e.at.timestamp() < day.ends and e.is_check
        ][-100:]
        gaps = sorted(b - a for a, b in pairwise(checks) if b > a)
        if len(gaps) < 5:
            return self.default
        median = gaps[(len(gaps) + 1) // 2 - 1]
        return min(max((median + 15) // 30 * 30, 30), 21600)

    def stretches(self) -> list[Stretch]:
        """All time from the first day on, each stretch in another state than the one before."""
        begins = [day.begins for day in self.days]
        hold = [self.factor * self.interval(day) for day in self.days]
        found = [Stretch("unknown", begins[0], self.now)]
        for second, group in groupby(self.events, lambda event: event.second):
            said = list(group)
            state, until = said[-1].state, second + hold[bisect_right(begins, second) - 1]
            confirmed = tuple(event for event in said if event.state == state)
            _put(found, Stretch(state, second, min(until, self.now), confirmed))
            if until < self.now:
                _put(found, Stretch("unknown", until, self.now))
        return [stretch for stretch in found if stretch.begins < stretch.ends]

    def within(self, begins: int, ends: int) -> dict[str, int]:
        """Seconds in each state between two moments."""
        seconds = dict.fromkeys(_WORST_LAST, 0)
        for stretch in self.stretches():
            seconds[stretch.state] += max(0, min(ends, stretch.ends) - max(begins, stretch.begins))
        return seconds

    def noted(self, begins: int, ends: int) -> list[Noted]:
        """The events between two moments."""
        return [event for event in self.events if begins <= event.second < ends]

    def outages(self) -> list[Stretch]:
        """Each time that it was down without a break."""
        return [stretch for stretch in self.stretches() if stretch.state == "down"]


def _put(found: list[Stretch], new: Stretch) -> None:
    """Let `new` begin where it does, whatever was thought to go on."""
    while found and found[-1].begins >= new.begins:
        found.pop()
    if found and found[-1].state == new.state and found[-1].ends >= new.begins:
        before = found.pop()
        new = new._replace(begins=before.begins, events=before.events + new.events)
    elif found:
        found.append(found.pop()._replace(ends=new.begins))
    found.append(new)
