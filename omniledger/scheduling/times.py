"""When the flows run: a cron line or an interval, read from what a person typed."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from omniledger.errors import SettingsError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EVERY = re.compile(r"(\d{1,6})\s*([smhd])", re.IGNORECASE)
_LONGEST = timedelta(days=366)
_FIELDS = 5
"""Of a cron line."""

_NOT_OF_PREFECT = re.compile(r"lw|\dl", re.IGNORECASE)
"""The last weekday of a month, which Prefect's reader of cron lines does not know."""


def read_interval(text: str) -> timedelta:
    """An interval such as `30s`, `5m`, `6h` or `1d`, of a year at most.

    Raises:
        SettingsError: it is none.
    """
    found = _EVERY.fullmatch(text.strip())
    interval = timedelta(seconds=int(found[1]) * _UNITS[found[2].lower()] if found else 0)
    if not timedelta(0) < interval <= _LONGEST:
        raise SettingsError(
            f"{text!r} is no interval of a year at most; write it like 30s, 5m, 6h or 1d."
        )
    return interval


@dataclass(frozen=True)
class Cron:
    """A cron line, read in a time zone."""

    line: str
    timezone: str

    def __post_init__(self) -> None:
        """Refuse a line that names no time.

        Raises:
            SettingsError: it doesn't parse.
        """
        from cronsim import CronSim, CronSimError

        try:
            # A sixth field is seconds, which Prefect reads from the other end of the line.
            if len(self.line.split()) != _FIELDS or _NOT_OF_PREFECT.search(self.line):
                raise CronSimError
            next(CronSim(self.line, datetime.now(ZoneInfo(self.timezone))))
        except StopIteration:
            raise SettingsError(
                f"{self.line!r} is no cron line of a time that ever comes; correct its days."
            ) from None
        except CronSimError:
            raise SettingsError(
                f"{self.line!r} is no cron line; five fields are needed, like '15 0 * * *' for a "
                "quarter past midnight."
            ) from None

    def __str__(self) -> str:
        return f"at {self.line} ({self.timezone})"

    def last_due(self, now: datetime) -> datetime:
        """The latest time at or before `now` for which a run was due."""
        from cronsim import CronSim

        return next(CronSim(self.line, now.astimezone(ZoneInfo(self.timezone)), reverse=True))


@dataclass(frozen=True)
class Every:
    """Once in each interval."""

    interval: timedelta

    def __str__(self) -> str:
        seconds = int(self.interval.total_seconds())
        size, unit = next((n, u) for u, n in reversed(_UNITS.items()) if seconds % n == 0)
        return f"every {seconds // size}{unit}"

    def last_due(self, now: datetime) -> datetime:
        """The latest time before `now` after which a run is due."""
        return now - self.interval


When = Cron | Every


@dataclass(frozen=True)
class Plan:
    """What runs when, as a person typed it, so that it can be handed to the runner.

    Attributes:
        cron: a cron line for the daily flow, read in `timezone`.
        every: an interval for it instead, such as `6h`.
        watch_every: how often the watch looks, such as `5m`.
    """

    cron: str | None
    every: str | None
    timezone: str
    watch_every: str = "5m"

    def __post_init__(self) -> None:
        """Refuse what doesn't parse.

        Raises:
            SettingsError: both ways to say it are used, or one is wrong.
        """
        if self.cron is not None and self.every is not None:
            raise SettingsError("--cron and --every exclude each other; give one of them.")
        _ = self.daily, self.watch

    @property
    def daily(self) -> When:
        """When the daily flow runs; by default shortly after midnight."""
        if self.every is not None:
            return Every(read_interval(self.every))
        return Cron("15 0 * * *" if self.cron is None else self.cron, self.timezone)

    @property
    def watch(self) -> timedelta:
        """How often the watch looks."""
        return read_interval(self.watch_every)

    def to_json(self) -> str:
        """The plan as one argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        return cls(**json.loads(text))
