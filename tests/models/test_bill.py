"""The bill beside the ledger, built by dbt: each difference has its cause, and they add up."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import ask
from tests.models.bill import (
    CAUSES,
    FOCUS,
    RECONCILIATION,
    causes,
    charged,
    counted,
    reconciliation,
    reported,
)
from tests.models.conftest import USAGE, Marts, Prepared, request_at

HAIKU, SONNET = "claude-3-5-haiku", "claude-sonnet-4-5"
OLD_SONNET = "claude-sonnet-4-0"

ALL = (USAGE, FOCUS, RECONCILIATION)


def fill(marts: Marts) -> None:
    """Days of a bill, each with a cause of its own."""
    dsn = marts.dsn
    ask(
        dsn,
        "insert into ledger.model_prices values"
        " (%s, '-infinity', null, 3, 15, 0.3, 3.75, 6, 'test')",
        SONNET,
    )
    # 1: recorded at Haiku's rates though Sonnet ran: $4.80 instead of $18
    request_at(
        marts,
        "2026-01-01 12:00+00",
        llm_model=SONNET,
        tokens_input=1_000_000,
        tokens_output=1_000_000,
        cost_usd=Decimal("4.80"),
    )
    for kind, usd in (("input", "3"), ("output", "15")):
        counted(dsn, "2026-01-01", kind, 1_000_000, f"{SONNET}-20250929")
        charged(dsn, "2026-01-01", kind, usd, "Claude Sonnet 4.5")
    # 2: the provider counted more output, cache writes that nobody recorded, and a search
    request_at(
        marts, "2026-01-02 12:00+00", llm_model=HAIKU, tokens_input=1_000_000, tokens_output=100
    )
    for kind, tokens, usd in (
        ("input", 1_000_000, "0.8"),
        ("output", 200, "0.0008"),
        ("cache_write_5m", 1000, "0.001"),
        ("cache_write_1h", 1000, "0.0016"),
    ):
        counted(dsn, "2026-01-02", kind, tokens)
        charged(dsn, "2026-01-02", kind, usd)
    charged(dsn, "2026-01-02", None, "0.01", None, "web_search")
    # 3: a model that the ledger never saw, and one that has no price
    counted(dsn, "2026-01-03", "input", 1_000_000, SONNET)
    charged(dsn, "2026-01-03", "input", "3", SONNET)
    counted(dsn, "2026-01-03", "input", 5, "claude-unheard-of")
    charged(dsn, "2026-01-03", "input", "7", "claude-unheard-of")
    # 4: a discount, another list price, half of it served as a batch, reported too early
    request_at(
        marts, "2026-01-04 12:00+00", llm_model=HAIKU, tokens_input=2_000_000, tokens_output=0
    )
    reported(dsn, "cost", "2026-01-04", "2 days")
    for tier, usd, before in (("standard", "0.81", "0.9"), ("batch", "0.4", "0.4")):
        counted(dsn, "2026-01-04", "input", 1_000_000, service_tier=tier)
        charged(dsn, "2026-01-04", "input", usd, service_tier=tier, list_amount_usd=Decimal(before))
    # 5: only tokens are known; 6: only dollars are; 7: a total without a split
    request_at(marts, "2026-01-05 12:00+00", llm_model=HAIKU, tokens_input=10, tokens_output=0)
    counted(dsn, "2026-01-05", "input", 1_000_010)
    request_at(
        marts, "2026-01-06 12:00+00", llm_model=HAIKU, tokens_input=1_000_000, tokens_output=0
    )
    charged(dsn, "2026-01-06", "input", "1")
    request_at(marts, "2026-01-07 12:00+00", llm_model=HAIKU, llm_tokens_used=1_000_000)
    counted(dsn, "2026-01-07", "input", 1_000_000)
    charged(dsn, "2026-01-07", "input", "0.8")
    # 8: names that look unlike those of the ledger, and a charge for tokens of no kind
    ask(
        dsn,
        "insert into ledger.model_names (name, model, source)"
        " values ('claude-sonnet-4', %s, 'test'), (%s, %s, 'test')",
        *(OLD_SONNET, OLD_SONNET, OLD_SONNET),
    )
    ask(
        dsn,
        "insert into ledger.model_prices values"
        " (%s, '-infinity', null, 3, 15, 0.3, 3.75, 6, 'test')",
        OLD_SONNET,
    )
    for model in (HAIKU, "claude-sonnet-4-20250514"):
        request_at(
            marts, "2026-01-08 12:00+00", llm_model=model, tokens_input=1_000_000, tokens_output=0
        )
    counted(dsn, "2026-01-08", "input", 1_000_000, "Claude Haiku 3.5")
    charged(dsn, "2026-01-08", "input", "0.8", "Claude Haiku 3.5")
    counted(dsn, "2026-01-08", "input", 1_000_000, "us.anthropic.claude-sonnet-4-20250514-v1:0")
    charged(dsn, "2026-01-08", "input", "3", "Claude Sonnet 4")
    charged(dsn, "2026-01-08", None, "0.5", HAIKU)
    # 9: counted as a batch, and charged without a word of it
    request_at(
        marts, "2026-01-09 12:00+00", llm_model=HAIKU, tokens_input=1_000_000, tokens_output=0
    )
    counted(dsn, "2026-01-09", "input", 1_000_000, service_tier="batch")
    charged(dsn, "2026-01-09", "input", "0.4")
    marts.run(*ALL)


@pytest.fixture
def filled(prepared: Prepared) -> Marts:
    return prepared.in_state("bills", fill)


def test_each_difference_has_its_cause(filled: Marts) -> None:
    rows = reconciliation(filled.dsn)
    found = {
        (day[-1:], *key): causes(row)
        for (day, *key), row in rows.items()
        if causes(row) or row["difference_usd"]
    }
    assert found == {
        ("1", SONNET, "input"): {"price": "2.2"},
        ("1", SONNET, "output"): {"price": "11"},
        ("2", HAIKU, "output"): {"token_count": "0.0004"},
        ("2", HAIKU, "cache_write"): {"cache_write": "0.0026"},
        ("2", None, "other"): {"other": "0.01"},
        ("3", SONNET, "input"): {"unseen": "3"},
        ("3", "claude-unheard-of", "input"): {"unexplained": "7"},
        ("4", HAIKU, "input"): {"discount": "-0.09", "list_price": "0.1", "tier": "-0.4"},
        ("5", HAIKU, "input"): {"token_count": "0.8"},
        ("6", HAIKU, "input"): {"unexplained": "0.2"},
        ("7", HAIKU, "input"): {"token_count": "0.8"},
        ("7", HAIKU, "unsplit"): {"token_count": "-0.8"},
        ("8", HAIKU, "other"): {"other": "0.5"},
        ("9", HAIKU, "input"): {"discount": "-0.4"},
    }
    for row in rows.values():
        assert sum(row[f"cause_{cause}_usd"] for cause in CAUSES) == row["difference_usd"]


def test_what_was_cached_for_an_hour_has_the_price_in_force(prepared: Prepared) -> None:
    """The list's price, the operator's own beside it, the list's again, and a new list price."""
    marts = prepared.restore("empty")
    dsn = marts.dsn
    for is_own, since, until, usd in (
        (False, "2026-01-02", None, 6),
        (True, "2026-01-02", "2026-01-04", 5),
        (False, "2026-01-05", None, 8),
        (True, "2026-01-05", "2026-01-07", 7),
        (False, "2026-01-06", None, 9),
    ):
        ask(
            dsn,
            "insert into ledger.model_prices (is_own, model, valid_from, valid_to, input, output,"
            " cache_write_5m, cache_write_1h, source)"
            " values (%s, 'm', %s, %s, 1, 1, 1, %s, 'test')",
            *(is_own, f"{since} 00:00+00", until and f"{until} 00:00+00", usd),
        )
    for day in range(2, 8):
        counted(dsn, f"2026-01-0{day}", "cache_write_1h", 1_000_000, "m")
    marts.run(*ALL)
    billed = {day[-1:]: row["billed_usd"] for (day, *_), row in reconciliation(dsn).items()}
    assert billed == {"2": 5, "3": 5, "4": 6, "5": 7, "6": 7, "7": 9}


def test_a_discount_that_the_own_price_has_is_no_difference(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    dsn = marts.dsn
    for is_own, price in ((False, Decimal(3)), (True, Decimal("2.7"))):
        ask(
            dsn,
            "insert into ledger.model_prices (is_own, model, valid_from, input, output,"
            " cache_write_5m, cache_write_1h, source)"
            " values (%s, 'm', '-infinity', %s, 15, %s, %s, 'test')",
            *(is_own, price, price, price),
        )
    request_at(marts, "2026-01-01 12:00+00", llm_model="m", tokens_input=1_000_000, tokens_output=0)
    request_at(marts, "2026-01-02 12:00+00", llm_model="m", tokens_input=1_000_000, tokens_output=0)
    for day, usd in (("2026-01-01", "2.7"), ("2026-01-02", "3")):
        counted(dsn, day, "input", 1_000_000, "m")
        charged(dsn, day, "input", usd, "m", list_amount_usd=Decimal(3))
    counted(dsn, "2026-01-03", "cache_write_1h", 1_000_000, "m")
    charged(dsn, "2026-01-03", "cache_write_1h", "2.7", "m", list_amount_usd=Decimal(4))
    marts.run(*ALL)
    found = {day[-1:]: causes(row) for (day, *_), row in reconciliation(dsn).items()}
    assert found == {
        "1": {},
        "2": {"discount": "0.3"},
        "3": {"unseen": "2.7", "discount": "-1", "list_price": "1"},
    }


def test_tokens_and_dollars_stand_side_by_side(filled: Marts) -> None:
    row = reconciliation(filled.dsn)["2026-01-02", HAIKU, "output"]
    assert (row["ledger_tokens"], row["billed_tokens"], row["difference_tokens"]) == (100, 200, 100)
    assert (row["ledger_usd"], row["billed_usd"]) == (Decimal("0.0004"), Decimal("0.0008"))


def test_days_that_may_still_change_are_marked(filled: Marts) -> None:
    rows = reconciliation(filled.dsn)
    assert {day for (day, *_), row in rows.items() if not row["is_settled"]} == {"2026-01-04"}


def test_what_is_not_reported_is_not_known(filled: Marts) -> None:
    rows = reconciliation(filled.dsn)
    tokens_only, dollars_only = (rows[f"2026-01-0{n}", HAIKU, "input"] for n in (5, 6))
    assert (tokens_only["is_cost_known"], tokens_only["billed_usd"]) == (False, Decimal("0.800008"))
    assert (dollars_only["is_usage_known"], dollars_only["billed_tokens"]) == (False, None)


def test_hours_of_a_day_are_not_compared_with_the_day(filled: Marts) -> None:
    def known() -> tuple[object, ...]:
        filled.run(*ALL)
        row = reconciliation(filled.dsn)["2026-01-05", HAIKU, "input"]
        return row["is_usage_known"], row["billed_tokens"], row["difference_usd"]

    whole = known()
    assert whole[0] is True
    ask(
        filled.dsn,
        "update ledger.provider_buckets set bucket_end = bucket_end - interval '12 hours'"
        " where bucket_start = '2026-01-05 00:00+00'",
    )
    assert known() == (False, None, None)
    ask(
        filled.dsn,
        "insert into ledger.provider_buckets"
        " (fact, bucket_start, bucket_end, import_id, reported_at)"
        " select fact, bucket_end, bucket_end + interval '12 hours', import_id, reported_at"
        " from ledger.provider_buckets where bucket_start = '2026-01-05 00:00+00'",
    )
    assert known() == whole


def test_a_day_reported_before_it_was_over_is_not_compared_until_it_is_reported_again(
    filled: Marts,
) -> None:
    """The provider's bucket of today has the length of a day, and what there is of it so far."""
    day = "2026-01-02"

    def known(after: str) -> set[tuple[object, ...]]:
        ask(
            filled.dsn,
            "update ledger.provider_buckets set reported_at = bucket_start + %s::interval"
            " where bucket_start = '2026-01-02 00:00+00'",
            after,
        )
        filled.run(*ALL)
        rows = [row for (at, *_), row in reconciliation(filled.dsn).items() if at == day]
        for row in rows:
            because = [row[f"cause_{cause}_usd"] for cause in CAUSES]
            whole = None if None in because else sum(because)
            assert whole == row["difference_usd"], row["token_kind"]
        return {
            (row["is_usage_known"], row["is_cost_known"], row["billed_usd"] is not None)
            for row in rows
        }

    assert known("23 hours 59 minutes") == {(False, False, False)}
    assert known("24 hours") == {(True, True, True)}


def test_a_day_of_another_time_zone_meets_the_day_of_the_provider(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    for at in ("2026-01-01 23:30+00", "2026-01-02 12:00+00"):
        request_at(marts, at, llm_model=HAIKU, tokens_input=1_000_000, tokens_output=0)
    for day in ("2026-01-01", "2026-01-02"):
        counted(marts.dsn, day, "input", 1_000_000)
        charged(marts.dsn, day, "input", "0.8")
    marts.run(*ALL, reporting_timezone="Europe/Berlin")
    found = {day: causes(row) for (day, *_), row in reconciliation(marts.dsn).items()}
    assert found == {"2026-01-01": {"day_boundary": "0.8"}, "2026-01-02": {"day_boundary": "-0.8"}}
    periods = ask(
        marts.dsn,
        "select usage_date::text, to_char(charge_period_start at time zone 'UTC', 'DD HH24'),"
        " to_char(charge_period_end at time zone 'UTC', 'DD HH24')"
        " from analytics_build.fct_focus order by charge_period_start",
    )
    assert periods == [("2026-01-02", "01 23", "02 00"), ("2026-01-02", "02 00", "02 23")]


def test_a_second_run_builds_nothing_and_a_new_bill_its_day(filled: Marts) -> None:
    built = "select bill_date::text, max(built_at) from analytics_build.fct_bill_reconciliation"
    before = dict(ask(filled.dsn, f"{built} group by 1"))
    filled.run(*ALL)
    assert dict(ask(filled.dsn, f"{built} group by 1")) == before
    charged(filled.dsn, "2026-01-02", None, "0.02", None, "code_execution")
    filled.run(*ALL)
    after = dict(ask(filled.dsn, f"{built} group by 1"))
    assert {day for day in after if after[day] != before[day]} == {"2026-01-02"}
    ask(filled.dsn, "delete from ledger.provider_buckets where bucket_start < '2026-01-02'")
    filled.run(RECONCILIATION)
    assert "2026-01-01" not in {day for day, *_ in reconciliation(filled.dsn)}


def test_focus_has_the_sums_of_the_daily_usage(filled: Marts) -> None:
    assert ask(
        filled.dsn,
        f"select sum(cost_recomputed_usd), sum(cost_estimated_usd) from analytics_build.{USAGE}",
    ) == ask(
        filled.dsn,
        "select sum(billed_cost) filter (where x_cost_basis = 'computed'),"
        " sum(billed_cost) filter (where x_cost_basis = 'estimated')"
        f" from analytics_build.{FOCUS}",
    )
    [(ledger,)] = ask(filled.dsn, f"select sum(x_ledger_cost) from analytics_build.{FOCUS}")
    assert ledger == Decimal("4.80") + Decimal("0.8004") + Decimal("1.6") + Decimal(
        "0.000008"
    ) + Decimal("0.8") + Decimal("0.8") + Decimal("3.8") + Decimal("0.8")
