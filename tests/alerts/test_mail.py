"""Alerts by mail, to a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import time
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from pydantic import SecretStr

from omniledger.database import Dsn
from tests.alerts.test_alerts import end_run, look_at, refused
from tests.conftest import ask
from tests.migrations.operator import omniledger

__all__ = ["refused"]


class MailServer:
    """The least of SMTP (RFC 5321) that a mail needs; it can be told to refuse what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.is_down = False
        self.port = 0

    async def serve(self, started: threading.Event, ended: asyncio.Event) -> None:
        async with await asyncio.start_server(self._converse, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await ended.wait()

    async def _converse(self, read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        write.write(b"220 here\r\n")
        while line := await read.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                write.write(b"354 go on\r\n")
                letter = (await read.readuntil(b"\r\n.\r\n"))[:-5].replace(b"\r\n..", b"\r\n.")
                self.mails.append(message_from_bytes(letter, policy=policy.default))
            is_refused = self.is_down and verb == b"MAIL"
            write.write(b"451 not now\r\n" if is_refused else b"250 well\r\n")
            if verb == b"QUIT":
                break
        write.close()

    @property
    def url(self) -> SecretStr:
        address = f"mailto://127.0.0.1:{self.port}?mode=insecure"
        return SecretStr(f"{address}&from=ledger@example.org&to=ops@example.org")


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server, started, loop = MailServer(), threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(started, ended),))
    thread.start()
    assert started.wait(10)
    yield server
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())


def test_all_news_of_a_look_are_one_mail_and_what_is_over_another(
    refused: Dsn, mail: MailServer
) -> None:
    ask(
        refused,
        "insert into omni2.mcp_servers (id, name) values (9, 'nine');"
        "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type)"
        " values (9, now(), 'timeout', 'health_check')",
    )
    for _ in range(2):
        look_at(refused, mail.url)
    [begun] = mail.mails
    assert (begun["subject"], begun["to"]) == ("omniledger: 2 new", "ops@example.org")
    assert "The gate refused the figures: a sum is wrong" in text_of(begun)
    assert "the MCP server nine is down" in text_of(begun)
    end_run(refused, "published")
    for _ in range(2):
        look_at(refused, mail.url)
    [_, over] = mail.mails
    assert over["subject"] == "omniledger: 1 over"
    assert "Over: the run of" in text_of(over)


def test_mail_that_is_not_taken_or_comes_in_quiet_hours_comes_later(
    refused: Dsn, mail: MailServer
) -> None:
    mail.is_down = True
    assert look_at(refused, mail.url).failed == (1,)
    assert "not told: no channel took it" in omniledger(refused, "alerts", "list").output
    mail.is_down = False
    always = (time(0), time(23, 59, 59, 999999))
    assert look_at(refused, mail.url, alerts_quiet=always).waiting == 1
    assert mail.mails == []
    assert look_at(refused, mail.url).told == 1
    assert len(mail.mails) == 1


def test_a_test_says_which_channel_takes_mail(refused: Dsn, mail: MailServer) -> None:
    nobody = "json://127.0.0.1:1/"
    urls = f"{mail.url.get_secret_value()} {nobody}"
    said = omniledger(refused, "alerts", "test", OMNILEDGER_ALERTS=urls)
    assert (said.code, said.output) == (1, "channel 1: took it\nchannel 2: did not take it\n")
    assert mail.mails[0]["subject"] == "omniledger: a test"
