"""One look at everything that an operator wants to be woken for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from omniledger.alerts import channels, record
from omniledger.alerts.events import KINDS, now_wrong
from omniledger.database import Connection
from omniledger.roles import require_no_superuser
from omniledger.settings import Settings

_LOCK = 0x6F6D6E696C6F6F6B
"""The advisory lock of a look: the letters "omnilook"."""


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

    A channel that is down, or has no address that is one, never fails a run: what it did not take
    is sent to it again at the next look, unless it is over by then. Of two looks at once the second
    waits for what the first has told.

    Args:
        connection: not in autocommit; the caller commits.

    Raises:
        NotReadyError: this is a superuser where others own the marts.
    """
    require_no_superuser(connection)
    # Of a host that lost its power the session lasts for hours: that is told as a failed look.
    connection.execute("set local lock_timeout = '1min'")
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    events, seen = now_wrong(connection, settings)
    record.keep(connection, events, seen)
    news = record.untold(connection, [name for name, kind in KINDS.items() if not kind.is_end_told])
    fresh = sum(not one.is_told for one in news)
    if not news or not settings.alerts or is_quiet(settings, datetime.now(ZoneInfo("UTC"))):
        return Looked(len(events), 0, fresh)
    places = range(1, len(settings.alerts) + 1)
    letters = {
        place: channels.write(theirs)
        for place in places
        if (theirs := [one for one in news if one.is_for(place)])
    }
    failed = channels.send(settings.alerts, letters)
    told = 0
    for one in news:
        asked = [place for place in places if one.is_for(place)]
        missed = [place for place in asked if place in failed]
        if asked and missed == asked and not one.is_told:
            record.mark_failed(connection, one, "no channel took it")
        else:
            record.mark_told(connection, one, missed)
            told += bool(asked) and not one.is_told
    return Looked(len(events), told, fresh - told, tuple(failed))


def is_quiet(settings: Settings, now: datetime) -> bool:
    """Whether it is in the quiet hours, of the reporting time zone; they may span midnight."""
    if settings.alerts_quiet is None:
        return False
    begin, end = settings.alerts_quiet
    at: time = now.astimezone(ZoneInfo(settings.reporting_timezone)).time()
    return begin <= at < end if begin <= end else at >= begin or at < end
