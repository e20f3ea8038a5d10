"""Alerts against real receivers on loopback: a webhook and a mail server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from omniledger.alerts import channels
from omniledger.alerts.channels import Letter, require_known, send, write
from omniledger.alerts.record import News
from omniledger.alerts.watching import Looked, is_quiet, look
from omniledger.database import Dsn, connect
from omniledger.errors import SettingsError
from omniledger.settings import Settings
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger


class Receiver(ThreadingHTTPServer):
    """A webhook that keeps what it gets, or says that it is down."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keep)
        self.messages: list[dict[str, str]] = []
        self.is_down = self.is_slow = False
        self.is_done = threading.Event()
        self.is_done.set()

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"json://127.0.0.1:{self.server_port}/hook")


class _Keep(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        threading.Event().wait(self.server.is_slow)
        if not self.server.is_down:
            self.server.messages.append(json.loads(body))
        self.send_response(500 if self.server.is_down else 200)
        self.end_headers()
        while not self.server.is_done.wait(0.05):
            self.wfile.write(b".")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.is_done.set()
        receiver.shutdown()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def refused(server: Server) -> Dsn:
    dsn = server.state("investigation:upgraded")
    ask(dsn, "delete from omni2.mcp_health_log; delete from omni2.mcp_servers")
    end_run(dsn, "refused", "The gate refused the figures: a sum is wrong.")
    return dsn


def end_run(dsn: Dsn, verdict: str, reason: str | None = None) -> None:
    ask(
        dsn,
        "insert into ledger.runs (run_id, verdict, reason, started_at, finished_at)"
        " values (gen_random_uuid(), %s, %s, clock_timestamp(), now())",
        verdict,
        reason,
    )


def look_at(dsn: Dsn, *urls: SecretStr, **settings: object) -> Looked:
    with connect(dsn) as connection:
        return look(connection, Settings(alerts=urls, **settings))  # type: ignore[arg-type]


def test_an_event_is_told_once_and_its_end_once(refused: Dsn, receiver: Receiver) -> None:
    for _ in range(3):
        look_at(refused, receiver.url)
    [message] = receiver.messages
    assert message["title"] == "omniledger: 1 new"
    assert "The gate refused the figures: a sum is wrong" in message["message"]
    end_run(refused, "published")
    for _ in range(3):
        look_at(refused, receiver.url)
    [_, end] = receiver.messages
    assert end["title"] == "omniledger: 1 over"
    end_run(refused, "refused", "Again.")
    look_at(refused, receiver.url)
    assert len(receiver.messages) == 3


def test_a_look_without_a_channel_says_why_news_wait(refused: Dsn) -> None:
    waiting = "1 wrong now; 0 told, 1 waiting.\n"
    said = omniledger(refused, "alerts", "look").output
    assert said == f"{waiting}OMNILEDGER_ALERTS names no channel that could be told.\n"


def test_a_dead_channel_is_tried_again_and_shown(refused: Dsn, receiver: Receiver) -> None:
    receiver.is_down = True
    looked = look_at(refused, receiver.url)
    assert (looked.told, looked.waiting, looked.failed) == (0, 1, (1,))
    assert ask(refused, "select attempts, last_failure, told_at from ledger.alerts") == [
        (1, "no channel took it", None)
    ]
    receiver.is_down = False
    assert look_at(refused, receiver.url).told == 1
    assert len(receiver.messages) == 1


def test_a_channel_that_missed_what_others_took_is_told_later(
    refused: Dsn, receiver: Receiver, other: Receiver
) -> None:
    receiver.is_down = True
    looked = look_at(refused, other.url, receiver.url)
    assert (looked.told, looked.waiting, looked.failed) == (1, 0, (2,))
    missed = "(told, but channel 2 did not take it)"
    assert missed in omniledger(refused, "alerts", "list").output
    assert look_at(refused, other.url, receiver.url) == Looked(looked.wrong, 0, 0, (2,))
    receiver.is_down = False
    for _ in range(2):
        assert look_at(refused, other.url, receiver.url) == Looked(looked.wrong, 0, 0)
    assert missed not in omniledger(refused, "alerts", "list").output
    assert titles(other) == titles(receiver) == ["omniledger: 1 new"]


def test_who_missed_the_beginning_is_not_told_of_the_end(
    refused: Dsn, receiver: Receiver, other: Receiver
) -> None:
    receiver.is_down = True
    look_at(refused, other.url, receiver.url)
    receiver.is_down = False
    end_run(refused, "published")
    for _ in range(2):
        look_at(refused, other.url, receiver.url)
    assert titles(other) == ["omniledger: 1 new", "omniledger: 1 over"]
    assert titles(receiver) == []


def test_who_missed_the_end_alone_is_told_later(
    refused: Dsn, receiver: Receiver, other: Receiver
) -> None:
    look_at(refused, other.url, receiver.url)
    end_run(refused, "published")
    receiver.is_down = True
    assert look_at(refused, other.url, receiver.url).failed == (2,)
    receiver.is_down = False
    for _ in range(2):
        assert look_at(refused, other.url, receiver.url).failed == ()
    assert titles(other) == titles(receiver) == ["omniledger: 1 new", "omniledger: 1 over"]


def test_a_channel_that_never_ends_its_answer_holds_up_nobody(
    refused: Dsn, receiver: Receiver, other: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "PATIENCE_SECONDS", 1.0)
    receiver.is_done.clear()
    looked = look_at(refused, receiver.url, other.url)
    assert (looked.told, looked.waiting, looked.failed) == (1, 0, (1,))
    assert titles(other) == ["omniledger: 1 new"]


def titles(receiver: Receiver) -> list[str]:
    return [message["title"] for message in receiver.messages]


def test_what_began_and_ended_untold_is_no_news(refused: Dsn, receiver: Receiver) -> None:
    receiver.is_down = True
    look_at(refused, receiver.url)
    end_run(refused, "published")
    receiver.is_down = False
    assert look_at(refused, receiver.url) == Looked(0, 0, 0)
    assert receiver.messages == []


def test_quiet_hours_keep_the_news_for_later(refused: Dsn, receiver: Receiver) -> None:
    always = (time(0), time(23, 59, 59, 999999))
    assert look_at(refused, receiver.url, alerts_quiet=always).waiting == 1
    assert receiver.messages == []
    assert look_at(refused, receiver.url).told == 1


def test_of_two_looks_at_once_one_tells(refused: Dsn, receiver: Receiver) -> None:
    """As of the watches of two hosts."""
    look_at(refused)
    receiver.is_slow = True
    with ThreadPoolExecutor() as pool:
        looked = pool.map(lambda _: look_at(refused, receiver.url).told, range(2))
        assert sorted(looked) == [0, 1]
    assert titles(receiver) == ["omniledger: 1 new"]


@pytest.mark.parametrize(("hour", "quiet"), [(21, False), (22, True), (3, True), (7, False)])
def test_quiet_hours_may_span_midnight(hour: int, quiet: bool) -> None:
    settings = Settings(alerts_quiet="22:00-07:00", reporting_timezone="UTC")
    assert is_quiet(settings, datetime(2026, 7, 1, hour, tzinfo=UTC)) is quiet


def test_an_address_that_is_none_is_named_by_its_place_and_never_shown(refused: Dsn) -> None:
    with pytest.raises(SettingsError, match="address number 1") as raised:
        require_known([SecretStr("nonsense://user:planted-password@host")])
    assert "planted" not in str(raised.value)


def test_an_address_that_is_none_keeps_nothing_from_the_others(
    refused: Dsn, receiver: Receiver
) -> None:
    urls = (SecretStr("nonsense://host"), receiver.url)
    for _ in range(2):
        assert look_at(refused, *urls).failed == (1,)
        assert len(receiver.messages) == 1


def test_what_strangers_wrote_calls_nobody_and_hides_no_link_in_a_chat() -> None:
    said = "a is down: <!channel> !here> @everyone <https://x.example|ok> [ok](https://x.example)"
    news = News(1, "incident", f"{said}, says ada@x.example", False, is_told=False, missed_by=[])
    assert write([news]).body == (
        "Now: a is down: (!channel) !here) (at)everyone (https://x.example|ok) "
        "[ok] (https://x.example), says ada@x.example."
    )


def test_news_longer_than_a_channel_takes_comes_in_parts(receiver: Receiver) -> None:
    """Mattermost takes 4,000 characters, Discord 2,000, and a longer message not at all."""
    lines = [f"Now: nobody checks the MCP server {number}." for number in range(500)]
    letter = Letter("omniledger: 500 new", "\n".join(lines))
    chat = SecretStr(f"mmost://127.0.0.1:{receiver.server_port}/abcdefghijklmnopqrstuvwxyz")
    assert send([chat, receiver.url], {1: letter, 2: letter}) == []
    parts = [message for message in receiver.messages if "text" in message]
    [whole] = [message for message in receiver.messages if message not in parts]
    assert max(len(part["text"]) for part in parts) <= 4000
    told = [line.strip() for part in parts for line in part["text"].splitlines()]
    assert [line for line in told if line.startswith("Now: ")] == lines
    assert whole["message"] == letter.body
