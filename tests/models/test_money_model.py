"""Usage, cost, quota and bill against what is worked out of the same rows without SQL."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from psycopg.rows import dict_row

from omniledger.database import Connection, Dsn, connect
from tests.conftest import ask
from tests.models.bill import CAUSES, FOCUS, RECONCILIATION
from tests.models.conftest import QUOTA, USAGE, Prepared
from tests.models.health_model import days_between
from tests.models.money_cases import EVER, HAIKU, ZONE, Case, cases, fill
from tests.models.money_model import Day, Limit, Price, Request, day_of, possible, price_at, used_of


@dataclass(frozen=True)
class Models:
    """A database whose days are those of Havana, and the SQL of the marts."""

    dsn: Dsn
    code: dict[str, bytes]

    def rows(self, connection: Connection, mart: str) -> list[dict[str, Any]]:
        return connection.cursor(row_factory=dict_row).execute(self.code[mart]).fetchall()


@pytest.fixture(scope="module")
def models_of_havana(prepared: Prepared) -> Models:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "insert into ledger.model_prices values"
        " ('priced', '-infinity', null, 0.123456789, 7, null, 1.00000001, null, 'test');"
        "insert into ledger.model_names values ('priced', 'priced', 'test');"
        "insert into ledger.limit_history values (null, '-infinity', 10, 'default')",
    )
    ask(dsn, "update ledger.settings set value = %s where name = 'reporting_timezone'", ZONE)
    marts = (USAGE, QUOTA, FOCUS, RECONCILIATION)
    select = ("--select", *(f"+{mart}" for mart in marts), "--full-refresh")
    results = prepared.dbt(dsn, "run", *select, OMNILEDGER_REPORTING_TIMEZONE=ZONE)
    code = {result.node.name: result.node.compiled_code.encode() for result in results}
    return Models(dsn, {mart: code[mart] for mart in marts})


@settings(max_examples=25, deadline=None, derandomize=True, print_blob=False)
@given(case=cases)
def test_every_figure_is_as_worked_out_without_sql(models_of_havana: Models, case: Case) -> None:
    known = models_of_havana
    with connect(known.dsn) as connection:
        fill(connection, case)
        usage, quota = known.rows(connection, USAGE), known.rows(connection, QUOTA)
        connection.execute(b"insert into analytics_build.fct_focus " + known.code[FOCUS])
        reconciliation = known.rows(connection, RECONCILIATION)
        _limits_are_checked(connection, case)
        connection.rollback()
    _usage_is(case, usage)
    _quota_is(case, quota)
    _bill_is(case, reconciliation)


def _exact(value: Decimal | int | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _usage_is(case: Case, usage: list[dict[str, Any]]) -> None:
    groups: dict[tuple[date, int | None, str], list[Request]] = defaultdict(list)
    for row in case.rows:
        groups[day_of(row.at, ZONE), row.user, row.model].append(row)
    found = {(row["usage_date"], row["user_id"], row["llm_model"]): row for row in usage}
    assert found.keys() == groups.keys()
    for group, rows in groups.items():
        figures = _usage_of(rows, case.all_prices)
        assert {name: _exact(found[group][name]) for name in figures} == figures


def _usage_of(rows: list[Request], prices: tuple[Price, ...]) -> dict[str, Fraction | None]:
    def total(amounts: list[Fraction | None]) -> Fraction | None:
        known = [amount for amount in amounts if amount is not None]
        return sum(known, Fraction(0)) if known else None

    pairs = [(row.recorded, row.computed(prices)) for row in rows]
    bases = [row.basis(prices) for row in rows]
    kinds = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write")
    return {
        "requests": Fraction(len(rows)),
        **{kind: total([possible(r.tokens[n]) for r in rows]) for n, kind in enumerate(kinds)},
        "tokens_total": total([row.tokens_total for row in rows]),
        **{
            f"requests_cost_{basis}": Fraction(bases.count(basis))
            for basis in ("recorded", "computed", "estimated", "unknown")
        },
        "cost_recorded_usd": total([recorded for recorded, _ in pairs]),
        "cost_recomputed_usd": total([computed for _, computed in pairs]),
        "cost_difference_usd": total(
            [a - b if a is not None and b is not None else None for a, b in pairs]
        ),
        "cost_usd": total([row.ledger_usd(prices) for row in rows]),
    }


def _days() -> list[Day]:
    first, last = datetime(2025, 10, 30, tzinfo=UTC), datetime(2025, 11, 6, tzinfo=UTC)
    return [
        Day(day, datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC))
        for day, begins, ends in days_between(first, last, ZONE)
    ]


def _quota_is(case: Case, quota: list[dict[str, Any]]) -> None:
    limits = (Limit(None, EVER, Decimal(10)), *case.limits)
    found = {(row["usage_date"], row["user_id"]): row for row in quota}
    for day in _days():
        default = price_at(case.all_prices, HAIKU, day.begins)
        for user in (1, 2):
            used = used_of(case.rows, day, user, limits, default)
            row = found.pop((day.date, user), None)
            assert (used is None) is (row is None)
            if used is None or row is None:
                continue
            assert row["rows_counted"] == used.rows
            assert row["tokens_used"] == used.tokens
            assert row["tokens_unpriced"] == used.tokens_unpriced
            assert Fraction(row["cost_used_usd"]) == used.usd
            assert Fraction(row["cost_limit_usd"]) == used.limit
            assert row["is_exceeded"] is (used.usd >= used.limit)
            assert row["crossed_at"] == used.crossed_at
            assert Fraction(row["overspend_usd"]) == max(used.usd - used.limit, Fraction(0))
    assert found == {}


def _limits_are_checked(connection: Connection, case: Case) -> None:
    """The function says of each day what the mart says of it."""
    limits = (Limit(None, EVER, Decimal(7)),)
    for day in _days()[2:5]:
        moment = (day.ends - timedelta(seconds=1)).isoformat()
        connection.execute("update ledger.settings set value = %s where name = 'as_of'", [moment])
        default = price_at(case.all_prices, HAIKU, day.begins)
        for user in (1, 2):
            used = used_of(case.rows, day, user, limits, default)
            [(tokens, usd, unpriced, exceeded)] = connection.execute(
                "select tokens_used, cost_used, tokens_unpriced, exceeded"
                " from ledger.check_usage_limit(%s, 7)",
                [user],
            ).fetchall()
            if used is None:
                assert (tokens, usd, unpriced, exceeded) == (0, 0, 0, False)
            else:
                assert (tokens, unpriced) == (used.tokens, used.tokens_unpriced)
                assert Fraction(usd) == used.usd
                assert exceeded is (used.usd >= 7)


def _bill_is(case: Case, rows: list[dict[str, Any]]) -> None:
    expected = case.books.reconciled()
    found = {(row["bill_date"], row["llm_model"], row["token_kind"]): row for row in rows}
    assert found.keys() == expected.keys()
    for cell, figures in expected.items():
        row = found[cell]
        named = {name: f"cause_{name}_usd" if name in CAUSES else name for name in figures}
        assert {name: _exact(row[column]) for name, column in named.items()} == figures, cell
        if row["difference_usd"] is not None:
            assert row["difference_usd"] == row["billed_usd"] - row["ledger_usd"]
            assert sum(row[f"cause_{cause}_usd"] for cause in CAUSES) == row["difference_usd"]
