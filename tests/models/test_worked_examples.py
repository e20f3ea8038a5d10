"""The examples of docs/figures.md that a person checks by hand are what the code computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from omniledger.bill import loading, reading
from omniledger.database import connect
from tests.conftest import ask
from tests.models.bill import CAUSES, RECONCILIATION
from tests.models.conftest import (
    FOCUS,
    HEALTH,
    SERVERS,
    USAGE,
    Marts,
    Prepared,
    event_at,
    request_at,
)

_PAGE = Path(__file__).parents[2] / "docs" / "figures.md"
_TITLE = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A section of the page."""

    text: str

    def table(self, head: str) -> list[list[str]]:
        """The rows of the table whose first column has this head."""
        rows = iter(self.text.splitlines())
        for line in rows:
            if _cells(line)[:1] == [head]:
                next(rows)
                return list(_below(rows))
        raise AssertionError(f"{_PAGE} has no table {head}")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else []


def _below(rows: Iterator[str]) -> Iterator[list[str]]:
    for line in rows:
        if not _cells(line):
            return
        yield _cells(line)


def example(title: str) -> Example:
    """The section of the page with this title."""
    parts = _TITLE.split(_PAGE.read_text(encoding="utf-8"))
    return Example(dict(zip(parts[1::2], parts[2::2], strict=True))[title])


@pytest.fixture
def marts(prepared: Prepared) -> Marts:
    return prepared.restore("empty")


def test_each_example_is_what_the_code_computes(marts: Marts, tmp_path: Path) -> None:
    day = example("One day of the bill")
    _load(marts, day, tmp_path)
    price, shares = example("The price of one request"), example("The share of each MCP server")
    tokens = {row[0]: int(row[1]) for row in price.table("kind") if row[1]}
    lists = dict(re.findall(r"`(\w+)`\s+is `(\{.*?\})`", shares.text))
    request_at(
        marts,
        "2026-02-01 12:00+00",
        **{f"tokens_{kind}": number for kind, number in tokens.items()},
        **lists,
        llm_model="claude-3-5-haiku",
    )
    marts.run(USAGE, SERVERS, FOCUS, RECONCILIATION, reporting_timezone="Europe/Berlin")

    _price_is_computed(marts, price)
    _shares_are_computed(marts, shares)
    _causes_are_computed(marts, day)


def test_the_example_of_a_server_is_what_the_models_make(marts: Marts) -> None:
    day = example("One day of a server")
    for at, status in day.table("noted at"):
        event_at(marts, f"{at}+00", status)
    marts.run(HEALTH)
    stated = {figure: Decimal(value) for figure, value, _ in day.table("figure")}
    [row] = [r for r in marts.figures(HEALTH) if str(r["health_date"]) == "2026-03-02"]
    assert {figure: row[figure] for figure in stated} == stated
    assert row["check_interval_source"] == "setting"


def _load(marts: Marts, day: Example, folder: Path) -> None:
    """The day's requests, prices and bill as the page gives them."""
    for at, model, tokens_in, tokens_out, recorded in day.table("time (UTC)"):
        request_at(
            marts,
            f"{at}+00",
            llm_model=model,
            tokens_input=int(tokens_in),
            tokens_output=int(tokens_out),
            cost_usd=Decimal(recorded),
        )
    for model, *prices in day.table("model"):
        known = "select input, output, cached_read, cache_write_5m from ledger.model_prices"
        stated = tuple(map(Decimal, prices))
        if not ask(marts.dsn, f"{known} where model = %s", model):
            insert = (
                "insert into ledger.model_prices"
                " (model, valid_from, input, output, cached_read, cache_write_5m, source)"
                " values (%s, '-infinity', %s, %s, %s, %s, 'test')"
            )
            ask(marts.dsn, insert, model, *stated)
        assert ask(marts.dsn, f"{known} where model = %s", model) == [stated]
    bill = folder / "bill.csv"
    [csv] = re.findall(r"```csv\n(.*?)```", day.text, re.DOTALL)
    bill.write_text(csv, encoding="utf-8")
    with connect(marts.dsn) as connection:
        for document in reading.documents([bill]):
            loading.take_in(connection, document)


def _price_is_computed(marts: Marts, price: Example) -> None:
    *kinds, whole = price.table("kind")
    assert sum(int(row[1]) * Decimal(row[2]) for row in kinds) == Decimal(whole[3])
    assert [int(row[1]) * Decimal(row[2]) for row in kinds] == [Decimal(row[3]) for row in kinds]
    [(computed,)] = ask(
        marts.dsn,
        "select cost_recomputed_usd from analytics_build.fct_daily_usage"
        " where usage_date = '2026-02-01'",
    )
    assert f"**${computed:f}**" in price.text
    assert computed == Decimal(whole[3]) / 1_000_000


def _shares_are_computed(marts: Marts, shares: Example) -> None:
    rows = [row[:3] for row in shares.table("server")]
    assert ask(
        marts.dsn,
        "select mcp_server, calls::text, cost_recomputed_usd::text"
        " from analytics_build.fct_daily_mcp_cost where usage_date = '2026-02-01'"
        " union all select 'all', sum(calls)::text, sum(cost_recomputed_usd)::numeric(9, 5)::text"
        " from analytics_build.fct_daily_mcp_cost where usage_date = '2026-02-01'",
    ) == [tuple(row) for row in rows]


def _causes_are_computed(marts: Marts, day: Example) -> None:
    *stated, whole = [(row[0], Decimal(row[1])) for row in day.table("cause")]
    sums = ", ".join(f"sum(cause_{cause}_usd)" for cause in CAUSES)
    [(ledger, billed, difference, *causes)] = ask(
        marts.dsn,
        f"select sum(ledger_usd), sum(billed_usd), sum(difference_usd), {sums}"
        " from analytics_build.fct_bill_reconciliation where bill_date = '2026-01-02'",
    )
    assert dict(zip(CAUSES, causes, strict=True)) == dict(stated)
    assert sum(amount for _, amount in stated) == whole[1] == difference == billed - ledger
    assert f"That is ${ledger:.2f}." in day.text
    assert f"That is ${billed:.2f}, so the bill is ${difference:.2f} higher" in day.text
