"""The export for FinOps tools: FOCUS 1.2's columns and rules, exact, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from omniledger.database import Dsn, connect
from omniledger.errors import InputError, LocalError, NotReadyError
from omniledger.focus import exporting
from omniledger.focus.exporting import Written, write
from tests.conftest import ask
from tests.models.bill import FOCUS
from tests.models.conftest import USAGE, Marts, Prepared, request_at
from tests.models.focus_rules import COLUMNS, NUMBERS, broken

HAIKU = "claude-3-5-haiku"
ODD_COST = Decimal("7.000000000000000000000000000001")
"""With more digits than Python's decimals have unasked."""


def fill(marts: Marts) -> None:
    """Requests of each way in which a cost is known, over the end of a month."""
    dsn = marts.dsn
    split: dict[str, Any] = {"llm_model": HAIKU, "tokens_input": 300, "tokens_output": 100}
    for at in ("2026-01-31 23:59+00", "2026-02-01 00:00+00"):
        request_at(marts, at, **split, tokens_cached=1000, tokens_cache_write=200, user_id=7)
    request_at(marts, "2026-02-01 01:00+00", **split, cost_usd=Decimal("0.1"))
    request_at(marts, "2026-02-01 02:00+00", llm_model=HAIKU, llm_tokens_used=1000)
    request_at(
        marts, "2026-02-01 03:00+00", llm_model="=cmd()\x1b[2J", tokens_input=3, tokens_output=4
    )
    unheard_of = {"llm_model": "unheard-of", "cost_usd": ODD_COST}
    request_at(marts, "2026-02-01 04:00+00", **unheard_of, tokens_input=1, tokens_output=2)
    request_at(marts, "2026-02-01 05:00+00", llm_model=HAIKU, cost_usd=Decimal(2))
    marts.run(USAGE, FOCUS)
    ask(
        dsn,
        "create table analytics.fct_focus as select * from analytics_build.fct_focus;"
        " alter table analytics.fct_focus replica identity full",
    )


@pytest.fixture
def dsn(prepared: Prepared) -> Dsn:
    return prepared.in_state("focus", fill).dsn


def exported(dsn: Dsn, path: Path) -> Written:
    with connect(dsn) as connection:
        return write(connection, path)


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {name: _value(name, text) for name, text in row.items()}


def _value(name: str, text: str) -> Any:
    if text == "":
        return None
    if name in NUMBERS or name == "x_LedgerCost":
        return Decimal(text)
    return datetime.fromisoformat(text) if "Period" in name else text


def read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]


def test_every_row_keeps_the_rules_of_the_specification(dsn: Dsn, tmp_path: Path) -> None:
    exported(dsn, tmp_path / "focus.csv")
    rows = list(read_csv(tmp_path / "focus.csv"))
    assert len(rows) > 8
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Adjustment"}
    for row in rows:
        assert set(COLUMNS) <= set(row)
        assert all(name.startswith("x_") for name in set(row) - set(COLUMNS))
        assert list(broken(row)) == [], row


def test_csv_and_parquet_say_the_same_and_the_sums_of_the_marts(dsn: Dsn, tmp_path: Path) -> None:
    [(computed, estimated, recorded)] = ask(
        dsn,
        "select sum(cost_recomputed_usd), sum(cost_estimated_usd), sum(cost_recorded_usd)"
        " from analytics_build.fct_daily_usage",
    )
    written = [exported(dsn, tmp_path / name) for name in ("focus.csv", "focus.parquet")]
    assert written[0] == written[1]
    with localcontext(prec=60):
        assert written[0].billed == computed + estimated + ODD_COST + 2
    for rows in (list(read_csv(tmp_path / "focus.csv")), read_parquet(tmp_path / "focus.parquet")):
        assert len(rows) == written[0].rows
        by_basis: dict[str, Decimal] = {}
        for row in rows:
            basis = row["x_CostBasis"]
            by_basis[basis] = by_basis.get(basis, Decimal(0)) + row["BilledCost"]
        assert by_basis["computed"] == computed
        assert by_basis["estimated"] == estimated
        with localcontext(prec=60):
            assert sum(row["x_LedgerCost"] for row in rows) == recorded + estimated


def test_cost_recorded_of_a_request_is_dealt_out_to_its_kinds(dsn: Dsn, tmp_path: Path) -> None:
    exported(dsn, tmp_path / "focus.csv")
    kinds = {
        row["x_TokenKind"]: row["x_LedgerCost"]
        for row in read_csv(tmp_path / "focus.csv")
        if row["Tags"] == '{"source_system": "gateway"}'
        and row["ChargePeriodStart"].month == 2
        and row["ChargeCategory"] == "Usage"
    }
    # 300 x 0.80 and 100 x 4.00 are 3 to 5
    assert kinds == {"input": Decimal("0.0375"), "output": Decimal("0.0625")}


def test_a_price_that_changes_within_a_day_makes_no_double(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    ask(
        marts.dsn,
        "insert into ledger.model_prices (model, valid_from, input, output, source)"
        " values ('m', '-infinity', 1, 2, 'test'), ('m', '2026-03-01 12:00+00', 1, 3, 'test')",
    )
    for hour in (11, 12):
        at = f"2026-03-01 {hour}:00+00"
        request_at(marts, at, llm_model="m", tokens_input=1_000_000, tokens_output=1_000_000)
        request_at(marts, at, llm_model="other", tokens_input=0, tokens_output=0, cost_usd=1)
        request_at(marts, at, llm_model="other", cost_usd=1)
    marts.run(FOCUS)
    # FOCUS: the id of a price "MUST remain consistent over time"
    assert ask(
        marts.dsn, f"select distinct sku_price_id from analytics_build.{FOCUS} order by 1"
    ) == [
        ("m/input",),
        ("m/output",),
        (None,),
    ]
    assert ask(
        marts.dsn,
        "select x_model, x_token_kind, x_tokens, list_unit_price::integer, list_cost::integer"
        f" from analytics_build.{FOCUS} order by 1, 2, 4",
    ) == [
        ("m", "input", 2_000_000, 1, 2),
        ("m", "output", 1_000_000, 2, 2),
        ("m", "output", 1_000_000, 3, 3),
        ("other", "unsplit", 0, None, 4),
    ]


MAKERS = {
    "Anthropic": "claude-sonnet-4-5",
    "Cohere": "command-r-plus",
    "DeepSeek": "deepseek-v3.2",
    "Google": "gemma-2-27b-it",
    "Meta": "us.meta.llama3-70b",
    "MiniMax": "minimax-m2",
    "Mistral AI": "codestral-2508",
    "Moonshot AI": "kimi-k2",
    "OpenAI": "codex-mini",
    "Unknown": "central-command",
    "Z.ai": "zai-glm-5-3",
    "xAI": "grok-4-fast",
}


def test_makers_of_models_in_the_price_list_are_known(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    for model in MAKERS.values():
        request_at(marts, "2026-03-01 11:00+00", llm_model=model, cost_usd=1)
    marts.run(FOCUS)
    found = ask(marts.dsn, f"select provider_name, x_model from analytics_build.{FOCUS}")
    assert dict(found) == MAKERS


def test_the_price_of_the_list_stands_beside_the_operators(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    ask(
        marts.dsn,
        "insert into ledger.model_prices (model, is_own, valid_from, input, output, source)"
        " values ('m', false, '-infinity', 4, 8, 'list'), ('m', true, '-infinity', 3, 6, 'own'),"
        " ('mine', true, '-infinity', 5, 5, 'own')",
    )
    for model in ("m", "mine"):
        request_at(
            marts, "2026-03-01 11:00+00", llm_model=model, tokens_input=500_000, tokens_output=0
        )
    marts.run(FOCUS)
    prices = (
        "select x_model, list_unit_price, list_cost, contracted_unit_price, contracted_cost,"
        f" billed_cost from analytics_build.{FOCUS} order by 1"
    )
    cost = Decimal("1.5")
    assert ask(marts.dsn, prices) == [
        ("m", 4, 2, 3, cost, cost),
        ("mine", 5, Decimal("2.5"), 5, Decimal("2.5"), Decimal("2.5")),
    ]
    # As a price of the list under the operator's.
    ask(marts.dsn, "update ledger.model_prices set input = 6 where source = 'list'")
    marts.run(FOCUS)
    assert ask(marts.dsn, prices)[0] == ("m", 6, 3, 3, cost, cost)


def test_what_has_no_cost_stands_with_nothing_and_is_counted(dsn: Dsn, tmp_path: Path) -> None:
    assert exported(dsn, tmp_path / "focus.csv").unknown == 2


def test_no_text_of_a_csv_is_a_formula_or_an_order_to_a_terminal(dsn: Dsn, tmp_path: Path) -> None:
    exported(dsn, tmp_path / "focus.csv")
    models = {row["x_Model"] for row in read_csv(tmp_path / "focus.csv")}
    assert "'=cmd()[U+001B][2J" in models
    assert not any(model.startswith("=") or "\x1b" in model for model in models)
    exported(dsn, tmp_path / "focus.parquet")
    assert "=cmd()\x1b[2J" in {row["x_Model"] for row in read_parquet(tmp_path / "focus.parquet")}


def test_small_batches_make_the_same_file(
    dsn: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("focus.csv", "focus.parquet"):
        exported(dsn, tmp_path / name)
    monkeypatch.setattr(exporting, "_ROWS_AT_ONCE", 2)
    exported(dsn, tmp_path / "small.csv")
    exported(dsn, tmp_path / "small.parquet")
    assert (tmp_path / "small.csv").read_bytes() == (tmp_path / "focus.csv").read_bytes()
    assert read_parquet(tmp_path / "small.parquet") == read_parquet(tmp_path / "focus.parquet")


@pytest.mark.parametrize("name", ["focus.csv", "focus.parquet"])
def test_what_was_there_stays_if_the_export_fails(dsn: Dsn, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    ask(dsn, "alter table analytics.fct_focus drop column x_cost_basis")
    with pytest.raises(ValueError, match="x_cost_basis"):
        exported(dsn, path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("target", ["there.csv", "new.csv"])
def test_a_link_stays_and_the_figures_go_where_it_leads(
    dsn: Dsn, tmp_path: Path, target: str
) -> None:
    (tmp_path / "there.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(target)
    exported(dsn, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(list(read_csv(tmp_path / target))) > 1


def test_a_figure_with_more_digits_than_parquet_holds(dsn: Dsn, tmp_path: Path) -> None:
    ask(dsn, "update analytics.fct_focus set list_cost = 1 + 1e-39")
    with pytest.raises(InputError, match="more than the 38 digits that Parquet holds"):
        exported(dsn, tmp_path / "focus.parquet")
    assert list(tmp_path.iterdir()) == []


def test_other_endings_and_places_are_refused(dsn: Dsn, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in neither \.csv nor \.parquet"):
        exported(dsn, tmp_path / "focus.xlsx")
    for ending in (".csv", ".PARQUET"):
        with pytest.raises(InputError, match=f"is an ending without a name.* focus{ending}"):
            exported(dsn, tmp_path / ending)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LocalError, match="can't be written: No such file or directory"):
        exported(dsn, tmp_path / "nowhere" / "focus.csv")
    ask(dsn, "drop table analytics.fct_focus")
    with pytest.raises(NotReadyError, match="`omniledger run` publishes it"):
        exported(dsn, tmp_path / "focus.csv")
