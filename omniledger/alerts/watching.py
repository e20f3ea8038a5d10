"""One look at everything that an operator wants to be woken for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from omniledger.alerts import channels, record
from omniledger.alerts.events import KINDS, now_wrong
from omniledger.database import Connection
from omniledger.settings import Settings


@dataclass(frozen=True)
class Looked:
    """What a look found and told.

    Attributes:
        wrong: how many events last now.
        told: how many beginnings and ends were told.
        waiting: how many could not be told, or wait for the end of the quiet hours.
        failed: the places, from 1, of the channels that did not take the message.
    """

    wrong: int
    told: int
    waiting: int
    failed: tuple[int, ...] = ()


def look(connection: Connection, settings: Settings) -> Looked:
    """Record what began and ended since the last look, and tell it.

    A channel that is down never fails a run: what no channel took is sent again at the next look.
    What one of several took was told; which missed it is kept beside it.

    Raises:
        SettingsError: an address in `OMNILEDGER_ALERTS` is none.
    """
    events, seen = now_wrong(connection, settings)
    record.keep(connection, events, seen)
    news = record.untold(connection, [name for name, kind in KINDS.items() if not kind.is_end_told])
    if not news or not settings.alerts or is_quiet(settings, datetime.now(ZoneInfo("UTC"))):
        return Looked(len(events), 0, len(news))
    failed = channels.send(settings.alerts, channels.letter(news))
    if len(failed) == len(settings.alerts):
        record.mark_failed(connection, news, "no channel took it")
        return Looked(len(events), 0, len(news), tuple(failed))
    record.mark_told(connection, news, _missed(failed))
    return Looked(len(events), len(news), 0, tuple(failed))


def _missed(failed: list[int]) -> str | None:
    places = ", ".join(f"channel {place}" for place in failed)
    return f"{places} did not take it" if places else None


def is_quiet(settings: Settings, now: datetime) -> bool:
    """Whether it is in the quiet hours, of the reporting time zone; they may span midnight."""
    if settings.alerts_quiet is None:
        return False
    begin, end = settings.alerts_quiet
    at: time = now.astimezone(ZoneInfo(settings.reporting_timezone)).time()
    return begin <= at < end if begin <= end else at >= begin or at < end
