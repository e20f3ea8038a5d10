"""That a look fails: the one alert that the database can't keep, so that a file does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from omniledger.alerts import channels
from omniledger.alerts.record import News
from omniledger.alerts.watching import is_quiet
from omniledger.errors import OmniledgerError
from omniledger.files import replacing
from omniledger.settings import Settings


@dataclass(frozen=True)
class _Blind:
    """Why the first look of several failed, and the places of the channels that know of it."""

    sentence: str
    told: tuple[int, ...] = ()


@contextmanager
def told_when_blind(settings: Settings) -> Iterator[None]:
    """Tell each channel once that the look inside the block fails, and once that it works again.

    What a channel doesn't take is sent to it again at the next look. Where the folder of our state
    can't be written, it is told at each look: rather too often than never.
    """
    before = _read(_path(settings))
    try:
        yield
    except Exception as error:
        blind = before or _Blind(f"the watch can't look: {_sentence(error)}")
        untold = {*range(1, len(settings.alerts) + 1)}.difference(blind.told)
        took = _send(settings, blind.sentence, untold, is_over=False)
        _keep(settings, _Blind(blind.sentence, (*blind.told, *took)))
        raise
    if before is not None:
        took = _send(settings, before.sentence, before.told, is_over=True)
        left = tuple(place for place in before.told if place not in took)
        _keep(settings, _Blind(before.sentence, left) if left else None)


def _sentence(error: Exception) -> str:
    if isinstance(error, OmniledgerError):
        return str(error).rstrip(".")
    return f"something unforeseen went wrong ({type(error).__name__})"


def _send(settings: Settings, sentence: str, places: Iterable[int], *, is_over: bool) -> list[int]:
    """Send it to these channels, by their places from 1; those that took it."""
    asked = [place for place in places if place <= len(settings.alerts)]
    if not asked or is_quiet(settings, datetime.now(UTC)):
        return []
    letter = channels.write([News(0, "blind", sentence, is_over, is_told=False, missed_by=[])])
    failed = channels.send(settings.alerts, dict.fromkeys(asked, letter))
    return [place for place in asked if place not in failed]


def _read(path: Path) -> _Blind | None:
    try:
        kept = json.loads(path.read_text())
        return _Blind(str(kept["sentence"]), tuple(kept["told"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(settings: Settings) -> Path:
    return settings.home / "blind.json"


def _keep(settings: Settings, blind: _Blind | None) -> None:
    path = _path(settings)
    with suppress(OSError):
        if blind is None:
            path.unlink()
            return
        settings.make_home()
        with replacing(path) as draft:
            draft.write_text(json.dumps(asdict(blind)))
