"""The API, spoken to over HTTP: a local server says what the provider's documentation says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from omniledger.bill import cost_report, usage_report
from omniledger.bill.fetching import KEY, Api
from omniledger.cli import cli
from omniledger.database import Dsn
from omniledger.errors import InputError, SettingsError, StepFailed
from tests.bill.conftest import cost_bucket, page, usage_bucket
from tests.conftest import ask

SECRET = "sk-ant-admin-not-to-be-seen"  # noqa: S105 (a made-up key)
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 2)

SECOND_DAY = {"starting_at": "2026-03-02T00:00:00Z", "ending_at": "2026-03-03T00:00:00Z"}

Answer = tuple[int, dict[str, str], Any]


@dataclass
class Provider:
    """A server that answers in turn, then as the reports are; and what it was asked."""

    url: str = ""
    faults: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    costs: str = "12.5"

    @property
    def api(self) -> Api:
        return Api(SECRET, self.url, self.slept.append, timeout=5)

    def answer(self, path: str, query: dict[str, list[str]], key: str) -> Answer:
        self.asked.append((path, query, key))
        if self.faults:
            return self.faults.pop(0)
        if key != SECRET:
            return 401, {}, {"type": "error", "error": {"message": f"invalid x-api-key {key}"}}
        if path == cost_report.PATH:
            return 200, {}, page(cost_bucket(self.costs))
        if "page" in query:
            assert query["page"] == ["more"]
            return 200, {}, page(usage_bucket(2, **SECOND_DAY))
        return 200, {}, page(usage_bucket(1), has_more=True)


@contextmanager
def serving(provider: Provider) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            key = self.headers.get("x-api-key", "")
            assert self.headers["anthropic-version"] == "2023-06-01"
            status, headers, body = provider.answer(url.path, parse_qs(url.query), key)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    with serving(provider):
        yield provider


def fetched(provider: Provider) -> dict[str, list[Any]]:
    found = {}
    for document in provider.api.documents(FIRST, LAST):
        facts = [f for f in document.read() if f.kind in ("input", "output")]
        found[document.form] = [f.quantity or f.amount for f in facts]
    return found


def test_all_pages_of_both_reports_are_fetched(provider: Provider) -> None:
    found = fetched(provider)
    assert found["usage_report"] == [1, 10, 2, 10]
    assert [str(amount) for amount in found["cost_report"]] == ["0.125"]
    path, query, key = provider.asked[0]
    assert (path, key) == (usage_report.PATH, SECRET)
    assert query["starting_at"] == ["2026-03-01T00:00:00Z"]
    assert query["ending_at"] == ["2026-03-03T00:00:00Z"]
    assert "model" in query["group_by[]"]
    assert "description" in provider.asked[-1][1]["group_by[]"]


def test_more_than_31_days_are_asked_for_in_stretches(provider: Provider) -> None:
    provider.faults = [(200, {}, page(usage_bucket(1))), (200, {}, page())]
    list(provider.api.documents(date(2026, 1, 1), date(2026, 2, 1)))
    periods = [(q["starting_at"][0][:10], q["ending_at"][0][:10]) for _, q, _ in provider.asked[:2]]
    assert periods == [("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-02-02")]


def test_who_is_asked_for_patience_waits_as_long_as_is_said(provider: Provider) -> None:
    provider.faults = [(429, {"retry-after": "17"}, {}), (429, {"retry-after": "nan"}, {})]
    assert fetched(provider)["usage_report"] == [1, 10, 2, 10]
    assert provider.slept == [17.0, 2.0]


def test_a_fault_of_the_provider_is_waited_out_longer_and_longer(provider: Provider) -> None:
    provider.faults = [(500, {}, b"oops"), (529, {}, {}), (503, {}, {})]
    assert fetched(provider)["usage_report"] == [1, 10, 2, 10]
    assert provider.slept == [1.0, 2.0, 4.0]


def test_a_fault_that_stays_is_said(provider: Provider) -> None:
    provider.faults = [(500, {}, b"oops")] * 6
    with pytest.raises(StepFailed, match=r"has a fault \(500\); nothing was imported, ask again"):
        fetched(provider)
    assert len(provider.slept) == 5


def test_an_endless_wait_is_not_waited(provider: Provider) -> None:
    provider.faults = [(429, {"retry-after": "86400"}, {})]
    with pytest.raises(StepFailed, match=r"asks for patience \(429\)"):
        fetched(provider)
    assert provider.slept == []


def test_a_key_that_is_refused_is_said_and_not_shown(provider: Provider) -> None:
    wrong = Api("sk-ant-wrong", provider.url, provider.slept.append)
    with pytest.raises(InputError, match=rf"refuses the key \(401\); set {KEY}") as refused:
        list(wrong.documents(FIRST, LAST))
    assert "sk-ant-wrong" not in str(refused.value)
    assert provider.slept == []


def test_a_request_that_is_refused_says_why_without_the_key(provider: Provider) -> None:
    body = {"type": "error", "error": {"message": f"no such day\nfor {SECRET}."}}
    provider.faults = [(400, {}, body)]
    with pytest.raises(InputError) as refused:
        fetched(provider)
    assert str(refused.value) == (
        "The provider refuses the request (400): no such day for ***; nothing was imported."
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b"[" * 100_000])
def test_an_answer_that_is_no_report(provider: Provider, body: bytes) -> None:
    provider.faults = [(200, {}, body)]
    with pytest.raises(StepFailed, match="something that is no report"):
        fetched(provider)


def test_an_answer_that_was_damaged_on_its_way_is_asked_for_again(provider: Provider) -> None:
    damaged: Answer = (200, {"content-encoding": "gzip"}, b"no gzip")
    provider.faults = [damaged]
    assert fetched(provider)["usage_report"] == [1, 10, 2, 10]
    provider.faults = [damaged] * 6
    with pytest.raises(StepFailed, match=r"can't be reached or read \(DecodingError\)"):
        fetched(provider)


def test_pages_that_never_end(provider: Provider) -> None:
    provider.faults = [(200, {}, page(usage_bucket(), has_more=True))] * 2
    with pytest.raises(StepFailed, match="there is more of the report, but not where"):
        fetched(provider)


def test_nobody_there() -> None:
    waits: list[float] = []
    with pytest.raises(StepFailed, match=r"can't be reached or read \(ConnectError\)"):
        list(Api(SECRET, "http://127.0.0.1:9", waits.append).documents(FIRST, LAST))
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("api", "days", "said"),
    [
        (Api(SECRET), (LAST, FIRST), "give the earlier day first"),
        (Api(SECRET), (FIRST, date.max), "has no day after it"),
        (Api("sk-clé"), (FIRST, LAST), f"{KEY} holds a character that no key has"),
        (Api("sk\nkey"), (FIRST, LAST), f"{KEY} holds a character that no key has"),
        (Api(SECRET, "proxy.example.com"), (FIRST, LAST), "ANTHROPIC_BASE_URL is no address like"),
        (Api(SECRET, "http://[::1"), (FIRST, LAST), "ANTHROPIC_BASE_URL is no address like"),
    ],
)
def test_what_cannot_be_asked_is_said_at_once(api: Api, days: tuple[date, date], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        list(api.documents(*days))


DAYS = ("bill", "fetch", "--from", "2026-03-01", "--to", "2026-03-02")


def test_the_command_fetches_imports_and_lists(
    command: CliRunner, provider: Provider, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
    first = command.invoke(cli, DAYS, catch_exceptions=False).output
    assert "usage_report of 2026-03-01 to 2026-03-02, rows 4, no costs, 23 tokens" in first
    assert "cost_report of 2026-03-01, rows 1, $0.125, no tokens" in first
    again = command.invoke(cli, DAYS, catch_exceptions=False).output
    assert again.count("nothing new") == 2
    listed = command.invoke(cli, ["bill", "list", "--json"], catch_exceptions=False).output
    assert [one["amount_usd"] for one in json.loads(listed)] == ["0", "0.125", "0", "0.125"]
    plain = command.invoke(cli, ["bill", "list"], catch_exceptions=False).output
    assert plain.count("\n") == 4
    assert SECRET not in first + again + listed + plain
    assert ask(dsn, "select count(*) from ledger.provider_costs") == [(1,)]


def test_the_command_without_a_key(command: CliRunner) -> None:
    done = command.invoke(cli, DAYS)
    assert isinstance(done.exception, SettingsError)
    assert f"set {KEY} to an admin key" in str(done.exception)


def test_the_list_of_nothing(command: CliRunner) -> None:
    assert "No bill was imported yet" in command.invoke(cli, ["bill", "list"]).output
