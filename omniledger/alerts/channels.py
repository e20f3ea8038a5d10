"""The operator's channels, by Apprise: Slack, mail, webhooks and a hundred more."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from pydantic import SecretStr

from omniledger.alerts.record import News
from omniledger.errors import SettingsError
from omniledger.strangers import visible

if TYPE_CHECKING:
    from apprise import Apprise

PATIENCE_SECONDS = 120.0
"""How long all channels together may take; each gets as long, for they are told at once."""


# What chats take for orders also in text: `<!channel>`, `@everyone`, a link under other words.
# Apprise makes them of less, such as `!channel>`.
_ORDERS = re.compile(r"[<>]|(?<![\w.+-])@(?=\w)|\](?=\()")

_AS_TEXT = {"<": "(", ">": ")", "@": "(at)", "]": "] "}


@dataclass(frozen=True)
class Letter:
    """What a channel is sent: one message for all that is news to it."""

    title: str
    body: str


def write(news: Sequence[News]) -> Letter:
    """Put the news into one message, what began first."""
    lines = [f"{'Over' if one.is_over else 'Now'}: {_inert(one.sentence)}." for one in news]
    begun = sum(not one.is_over for one in news)
    over = len(news) - begun
    counted = [f"{begun} new"] * bool(begun) + [f"{over} over"] * bool(over)
    return Letter(f"omniledger: {', '.join(counted)}", "\n".join(sorted(lines, key=_begun_first)))


def _inert(sentence: str) -> str:
    """What it quotes of strangers calls nobody, and hides no link under other words."""
    return _ORDERS.sub(lambda found: _AS_TEXT[found[0]], visible(sentence))


def _begun_first(line: str) -> bool:
    return line.startswith("Over")


def require_known(urls: Sequence[SecretStr]) -> None:
    """Refuse addresses of which one is none.

    Raises:
        SettingsError: Apprise does not know it; the sentence names its place.
    """
    for place, channel in enumerate(_channels(urls), start=1):
        if not channel:
            raise SettingsError(
                f"OMNILEDGER_ALERTS is wrong: its address number {place} is none that Apprise "
                "knows, like mailto://user:password@host or slack://…"
            )


def send(urls: Sequence[SecretStr], letters: Mapping[int, Letter]) -> list[int]:
    """Send each channel its letter.

    Args:
        urls: the addresses of all channels.
        letters: by the place of a channel, from 1, what it gets.

    Returns:
        The places of the channels that did not take it in time, those among them that have no
        address that Apprise knows.
    """
    channels = _channels(urls)
    took: set[int] = set()

    def tell(place: int, letter: Letter) -> None:
        # As text: a channel that speaks HTML gets it escaped.
        if channels[place - 1].notify(title=letter.title, body=letter.body, body_format="text"):
            took.add(place)

    # Apprise limits the wait for each byte alone: who answers byte by byte for ever is left behind.
    threads = [Thread(target=tell, args=asked, daemon=True) for asked in letters.items()]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    return [place for place in letters if place not in took]


def _channels(urls: Sequence[SecretStr]) -> list[Apprise]:
    """A channel for each address, an empty one for what is none."""
    if not urls:
        return []
    from apprise import Apprise, OverflowMode

    # What it logs may hold the addresses, and they hold passwords.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    channels = [Apprise(url.get_secret_value()) for url in urls]
    for service in (service for channel in channels for service in channel):
        # A chat refuses what is longer than it takes, and would at every later look. An address
        # may say otherwise, with `overflow=`.
        vars(service).setdefault("overflow_mode", OverflowMode.SPLIT)
    return channels
