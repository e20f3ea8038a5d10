"""What an operator types about prices and models, and reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result

from omniledger import database
from omniledger.cli import cli
from omniledger.database import Dsn, connect
from omniledger.errors import InputError
from omniledger.pricing.catalog import ListedModel
from omniledger.pricing.loading import load
from omniledger.pricing.rates import Priced, Rates
from tests.conftest import Server, ask

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def list_says(dsn: Dsn, *prices: tuple[int, datetime | None]) -> None:
    """Load a list that has `claude-x` at these prices of input, each from a moment on."""
    ends = [start for _, start in prices[1:]]
    priced = tuple(
        Priced(start, end, Rates(Decimal(price), Decimal(10), Decimal("0.5")))
        for (price, start), end in zip(prices, [*ends, None], strict=True)
    )
    with connect(dsn) as connection:
        load(connection, [ListedModel("claude-x", ("claude-x-latest",), priced)], "list")


@pytest.fixture
def dsn(server: Server, monkeypatch: pytest.MonkeyPatch) -> Dsn:
    dsn = server.state("empty:upgraded")
    list_says(dsn, (4, None))
    monkeypatch.setattr(database, "target", lambda: dsn)
    return dsn


def omniledger(*arguments: str, code: int = 0) -> str:
    result: Result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def input_at(dsn: Dsn, at: str) -> Decimal | None:
    cost = "select ledger.usage_cost('claude-x', %s, 1000000, 0)"
    return ask(dsn, cost, at)[0][0]  # type: ignore[no-any-return]


def explained(*arguments: str, code: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        omniledger("prices", "explain", *arguments, "--json", code=code)
    )
    return document


def test_an_own_price_stands_before_the_list_for_its_time(dsn: Dsn) -> None:
    said = omniledger(
        "prices", "set", "anthropic/claude-x", "--input", "3", "--output", "9",
        "--from", "2026-03-01", "--to", "2026-04-01",
    )  # fmt: skip
    assert "claude-x: your own price, from 2026-03-01T00:00:00+00:00 until before 2026-04" in said
    assert [input_at(dsn, at) for at in ("2026-02-28", "2026-03-01", "2026-04-01")] == [4, 3, 4]
    # A later price of the list changes nothing while the own one lasts.
    list_says(dsn, (4, None), (2, datetime(2026, 3, 15, tzinfo=UTC)))
    assert [input_at(dsn, at) for at in ("2026-03-20", "2026-04-01")] == [3, 2]


def own_price(dsn: Dsn, dollars: str, *window: str) -> None:
    omniledger("prices", "set", "claude-x", "--input", dollars, "--output", "9", *window)


def test_an_own_price_stands_for_its_time_and_what_was_stated_before_around_it(dsn: Dsn) -> None:
    own_price(dsn, "5")
    own_price(dsn, "1", "--from", "2026-03-01", "--to", "2026-04-01")
    days: tuple[str, ...]
    days = ("2026-02-28", "2026-03-01", "2026-03-31", "2026-04-01", "2026-05-01")
    assert [input_at(dsn, at) for at in days] == [5, 1, 1, 5, 5]
    # Across both edges of one, and the beginning of another.
    own_price(dsn, "2", "--from", "2026-02-15", "--to", "2026-03-10")
    own_price(dsn, "6", "--from", "2026-03-20", "--to", "2026-04-20")
    days = ("2026-02-14", "2026-02-15", "2026-03-09", "2026-03-10", "2026-03-19", "2026-03-20")
    assert [input_at(dsn, at) for at in days] == [5, 2, 2, 1, 1, 6]
    assert [input_at(dsn, at) for at in ("2026-04-19", "2026-04-20")] == [6, 5]
    own_price(dsn, "7", "--from", "2026-02-01", "--to", "2026-05-01")
    days = ("2026-01-31", "2026-02-01", "2026-03-15", "2026-04-30", "2026-05-01")
    assert [input_at(dsn, at) for at in days] == [5, 7, 7, 7, 5]
    listed = json.loads(omniledger("prices", "list", "--own", "--all", "--json"))
    assert [Decimal(row["input"]) for row in listed] == [5, 7, 5]
    own_price(dsn, "8")
    assert [input_at(dsn, at) for at in days] == [8] * 5


def test_a_discount_with_an_end_follows_the_list_until_then(dsn: Dsn) -> None:
    window = ("--from", "2026-03-01", "--to", "2026-06-01")
    omniledger("prices", "set", "claude-x", "--discount", "10", *window)
    own_price(dsn, "1", "--from", "2026-05-01", "--to", "2026-05-02")
    list_says(dsn, (4, None), (2, datetime(2026, 4, 1, tzinfo=UTC)))
    days = ("2026-03-31", "2026-04-01", "2026-05-01", "2026-05-02", "2026-06-01")
    assert [input_at(dsn, at) for at in days] == [
        Decimal("3.6"),
        Decimal("1.8"),
        1,
        Decimal("1.8"),
        2,
    ]


def test_the_list_says_what_a_name_means_though_it_is_not_loaded_yet(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("empty:upgraded")
    monkeypatch.setattr(database, "target", lambda: dsn)
    omniledger("prices", "set", "gpt-4o-2024-05-13", "--input", "1", "--output", "1")
    omniledger("prices", "set", "claude-sonnet-4-5", "--discount", "15")
    own = ask(dsn, "select model, discount from ledger.model_prices where is_own order by 1")
    assert own == [("claude-sonnet-4-5", Decimal("0.15")), ("gpt-4o-2024-05-13", None)]


def test_a_discount_follows_the_list(dsn: Dsn) -> None:
    omniledger("prices", "set", "claude-x", "--discount", "10", "--from", "2026-03-01")
    assert [input_at(dsn, at) for at in ("2026-02-28", "2026-03-01")] == [4, Decimal("3.6")]
    list_says(dsn, (4, None), (2, datetime(2026, 3, 15, tzinfo=UTC)))
    assert [input_at(dsn, at) for at in ("2026-03-14", "2026-03-15")] == [
        Decimal("3.6"),
        Decimal("1.8"),
    ]
    assert "10 % off list" in omniledger("prices", "list", "--own")


def test_an_own_price_of_the_past_is_not_said_to_be_none(dsn: Dsn) -> None:
    assert omniledger("prices", "list", "--own", "--all") == (
        "You have stated no price of your own.\n"
    )
    own_price(dsn, "5", "--from", "2025-01-01", "--to", "2026-01-01")
    assert omniledger("prices", "list", "--own") == (
        "No price of your own is in force or to come; `--all` shows those of the past, too.\n"
    )
    assert "claude-x" in omniledger("prices", "list", "--own", "--all")


def test_what_was_stated_is_taken_back(dsn: Dsn) -> None:
    said = omniledger("prices", "set", "claude-x", "--input", "3", "--output", "9")
    assert "use cached read or cache write 5m have an unknown cost then" in said
    omniledger("prices", "set", "claude-x", "--discount", "10", "--from", "2026-03-01")
    assert input_at(dsn, "2026-02-28") == 3
    assert (
        omniledger("prices", "unset", "anthropic/claude-x")
        == "claude-x: what you stated is gone.\n"
    )
    assert [input_at(dsn, at) for at in ("2026-02-28", "2026-03-01")] == [4, 4]
    with pytest.raises(InputError, match="You have stated no price of claude-x"):
        omniledger("prices", "unset", "claude-x")

    omniledger("models", "set", "claude-x")
    omniledger("models", "set", "claude-y", "--from", "2026-03-01")
    omniledger("models", "unset", "--from", "2026-03-01")
    assert ask(dsn, "select model from ledger.model_history") == [("claude-x",)]
    with pytest.raises(InputError, match="Nothing is stated from 2026-03-01"):
        omniledger("models", "unset", "--from", "2026-03-01")
    omniledger("models", "unset")
    assert ask(dsn, "select count(*) from ledger.model_history") == [(0,)]


def test_explain_says_what_a_name_means_and_which_price_holds(dsn: Dsn) -> None:
    omniledger("prices", "set", "claude-x", "--input", "3", "--output", "9", "--from", "2026-03-01")
    said = omniledger(
        "prices", "explain", "us.anthropic.claude-x-20260101-v1:0", "--at", "2026-03-02"
    )
    assert "us.anthropic.claude-x-20260101-v1:0 is claude-x." in said
    assert "per million tokens: 3 in, 9 out." in said
    assert "your own price, before any of the list" in said
    assert "not in force, list: 4 in, 10 out, 0.5 read" in said
    document = explained("claude-x", "--at", "2026-02-01")
    assert document["in_force"]["input"] == "4"
    assert document["model"] == "claude-x"


def test_explain_names_the_nearest_model_that_is_known(dsn: Dsn) -> None:
    said = omniledger("prices", "explain", "claude-3-5-haikus", code=1)
    assert "the nearest known name is claude-3-5-haiku" in said
    assert "unknown, not 0" in said
    document = explained("claude-3-5-haikus", code=1)
    assert (document["model"], document["nearest"]) == (None, "claude-3-5-haiku")
    assert explained("%%%", code=1)["nearest"] is None


def test_a_model_that_nobody_knew_is_known_once_it_has_a_price(dsn: Dsn) -> None:
    omniledger("prices", "set", "My-Own-Model-20260101", "--input", "1", "--output", "1")
    assert explained("vllm/my-own-model")["model"] == "my-own-model"


def test_the_installed_list_is_loaded_and_listed(dsn: Dsn) -> None:
    assert "genai-prices" in omniledger("prices", "update")
    loaded = json.loads(omniledger("prices", "update", "--json"))
    assert (loaded["new"], loaded["changed"]) == ([], [])
    assert loaded["unlisted"] == ["claude-x"]
    rows = json.loads(omniledger("prices", "list", "--json"))
    assert {"claude-sonnet-4-5", "gpt-4o", "claude-x"} <= {row["model"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("claude-x", "--input", "-1", "--output", "1"), "-1 is no price"),
        (("claude-x", "--input", "NaN", "--output", "1"), "NaN is no price"),
        (("claude-x", "--input", "1e9", "--output", "1"), "is no price"),
        (("claude-x", "--input", "1", "--output", "1e-20000"), "with at most 20 decimals"),
        (("claude-x", "--discount", "0e-20000"), "is no discount"),
        (("claude-x", "--discount", "1e-21"), "with at most 20 decimals"),
        (("claude-x", "--input", "cheap", "--output", "1"), "cheap is no number"),
        (("anthropic/", "--input", "1", "--output", "1"), "'anthropic/' names no model"),
        (("\u2003", "--input", "1", "--output", "1"), "names no model"),
        (("claude\tx", "--input", "1", "--output", "1"), "has a tab, a line break or"),
        (("a\n/claude-x", "--input", "1", "--output", "1"), "has a tab, a line break or"),
        (("claude-x", "--discount", "0"), "0 is no discount"),
        (("claude-x", "--discount", "101"), "101 is no discount"),
        (("claude-3-5-haikus", "--discount", "5"), "did you mean claude-3-5-haiku"),
        (("claude-x", "--discount", "5", "--from", "soon"), "soon is no time"),
        (("claude-x", "--discount", "5", "--from", "9999-12-31T23:59-05:00"), "is no time"),
        (("claude-x", "--discount", "5", "--from", "0001-01-01T00:00+05:00"), "is no time"),
        (
            ("claude-x", "--discount", "5", "--from", "2026-03-02", "--to", "2026-03-01"),
            "end before it begins",
        ),
    ],
)
def test_what_is_no_price_is_one_sentence(dsn: Dsn, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        omniledger("prices", "set", *arguments)
    assert ask(dsn, "select count(*) from ledger.model_prices where is_own") == [(0,)]


def test_prices_and_a_discount_exclude_each_other(dsn: Dsn) -> None:
    assert "not both" in omniledger("prices", "set", "claude-x", code=2)
    both = ("--input", "1", "--output", "1", "--discount", "5")
    assert "not both" in omniledger("prices", "set", "claude-x", *both, code=2)
    assert "both --input and --output" in omniledger("prices", "set", "x", "--input", "1", code=2)


def test_models_say_what_ran_when(dsn: Dsn) -> None:
    assert omniledger("models", "set", "anthropic/claude-x", "--from", "2026-03-01") == (
        "claude-x ran from 2026-03-01T00:00:00+00:00 on.\n"
    )
    assert "did you mean claude-x?" in omniledger("models", "set", "claude-xx")
    for nothing in ("", " ", "anthropic/"):
        with pytest.raises(InputError, match=f"'{nothing}' names no model"):
            omniledger("models", "set", nothing)
    for control in ("claude-x\n", "\tclaude-x", "claude\x1b[31m-x", "a\u202e/claude-x"):
        with pytest.raises(InputError, match="has a tab, a line break or another control char"):
            omniledger("models", "set", control)
    with pytest.raises(InputError, match="names no model"):
        omniledger("models", "set", "\u00a0")
    assert json.loads(omniledger("models", "list", "--json")) == {
        "default_model": "claude-3-5-haiku",
        "stated": [
            {"from": None, "model": "claude-xx"},
            {"from": "2026-03-01T00:00:00+00:00", "model": "claude-x"},
        ],
    }
    assert "2026-03-01T00:00:00+00:00  claude-x" in omniledger("models", "list")
    cost = "select ledger.usage_cost(null, '2026-03-02', 1000000, 0)"
    assert ask(dsn, cost) == [(4,)]
