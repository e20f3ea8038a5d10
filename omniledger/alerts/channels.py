"""The operator's channels, by Apprise: Slack, mail, webhooks and a hundred more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from omniledger.alerts.record import News
from omniledger.errors import SettingsError
from omniledger.strangers import visible


@dataclass(frozen=True)
class Letter:
    """What is sent: one message for all the news of one look."""

    title: str
    body: str


def letter(news: Sequence[News]) -> Letter:
    """Put the news into one message, what began first."""
    lines = [f"{'Over' if one.is_over else 'Now'}: {visible(one.sentence)}." for one in news]
    begun = sum(not one.is_over for one in news)
    over = len(news) - begun
    counted = [f"{begun} new"] * bool(begun) + [f"{over} over"] * bool(over)
    return Letter(f"omniledger: {', '.join(counted)}", "\n".join(sorted(lines, key=_begun_first)))


def _begun_first(line: str) -> bool:
    return line.startswith("Over")


def send(urls: Sequence[SecretStr], message: Letter) -> list[int]:
    """Send it to every channel, or to none where one has no address.

    Returns:
        The places, from 1, of the channels that did not take it.

    Raises:
        SettingsError: an address is none that Apprise knows.
    """
    from apprise import Apprise

    # What it logs may hold the addresses, and they hold passwords.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    channels = []
    for place, url in enumerate(urls, start=1):
        channel = Apprise()
        if not channel.add(url.get_secret_value()):
            raise SettingsError(
                f"OMNILEDGER_ALERTS is wrong: its address number {place} is none that Apprise "
                "knows, like mailto://user:password@host or slack://…"
            )
        channels.append(channel)
    # As text: a channel that speaks HTML or Markdown gets it escaped.
    return [
        place
        for place, channel in enumerate(channels, start=1)
        if not channel.notify(title=message.title, body=message.body, body_format="text")
    ]
