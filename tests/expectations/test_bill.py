"""The gate against a bill and an export for FinOps that are wrong."""

import pytest

from omniledger.database import Dsn
from omniledger.settings import Settings
from tests.expectations.conftest import Judge, said
from tests.expectations.marts import spoil

BILL, FOCUS = "analytics_build.fct_bill_reconciliation", "analytics_build.fct_focus"


def test_a_bill_whose_causes_do_not_add_up_is_refused(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        f"update {BILL} set cause_tier_usd = 0.000001"
        " where llm_model = 'sonnet' and token_kind = 'input'",
        f"update {BILL} set billed_tokens = -1 where llm_model = 'haiku' and token_kind = 'input'",
        f"create temp table twice as select * from {BILL}"
        " where llm_model = 'haiku' and token_kind = 'input'",
        "update twice set reconciliation_key = 'twice'",
        f"insert into {BILL} select * from twice",
    )

    verdict = judge(dsn)

    failed = said(verdict, "bill_reconciliation")
    assert not verdict.passed
    assert set(failed) == {
        "Each day, model and kind has one row",
        "The causes add up to the difference, to the last digit",
        "No count of tokens is below zero",
        # What is there twice counts twice.
        "Each billed day costs in the ledger what fct_focus says",
    }
    causes = failed["The causes add up to the difference, to the last digit"]
    assert "sonnet" in causes
    assert "0.000001" in causes


def test_a_bill_that_is_far_from_the_ledger_is_a_warning(
    dsn: Dsn, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = (
        f"update {BILL} set billed_usd = billed_usd * {{0}},"
        " difference_usd = billed_usd * {0} - ledger_usd,"
        " cause_discount_usd = billed_usd * {0} - ledger_usd"
    )
    spoil(dsn, change.format("0.95"))
    assert set(said(judge(dsn), "bill_reconciliation")) == {
        "The bill of each day lies within 1 % of the ledger"
    }
    monkeypatch.setattr(
        "expectations.bill_reconciliation.get_settings",
        lambda: Settings(bill_tolerance_share="0.06"),
    )
    verdict = judge(dsn)
    assert verdict.passed
    assert said(verdict, "bill_reconciliation") == {}


def test_what_nobody_knows_the_charge_of_hides_no_difference(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        f"update {BILL} set billed_usd = billed_usd * 0.985,"
        " difference_usd = billed_usd * 0.985 - ledger_usd,"
        " cause_discount_usd = billed_usd * 0.985 - ledger_usd"
        " where llm_model = 'haiku'",
        f"update {BILL} set billed_usd = null, difference_usd = null, cause_unexplained_usd = null"
        " where llm_model = 'sonnet'",
    )
    assert set(said(judge(dsn), "bill_reconciliation")) == {
        "The bill of each day lies within 1 % of the ledger",
        "What the provider counted is known in dollars",
    }


def test_tokens_without_a_price_are_a_warning(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        f"update {BILL} set billed_usd = null, difference_usd = null, cause_unexplained_usd = null",
    )
    verdict = judge(dsn)
    assert verdict.passed
    assert set(said(verdict, "bill_reconciliation")) == {
        "What the provider counted is known in dollars"
    }


def test_an_export_that_differs_from_the_daily_usage_is_refused(dsn: Dsn, judge: Judge) -> None:
    costs = ("billed_cost", "effective_cost", "contracted_cost", "list_cost", "pricing_quantity")
    spoil(
        dsn,
        f"update {FOCUS} set {', '.join(f'{c} = 2 * {c}' for c in costs)}"
        " where usage_date = '2026-03-02'",
        f"update {FOCUS} set effective_cost = effective_cost + 1 where usage_date = '2026-03-03'",
        f"update {FOCUS} set billing_period_end = '2026-03-04' where usage_date = '2026-03-04'",
    )

    verdict = judge(dsn)

    failed = said(verdict, "bill_focus")
    assert not verdict.passed
    assert set(failed) == {
        "Each cost is a number from zero up, and price times quantity",
        "Each charge lies in its day and in its billing period",
        "Each day's cost and tokens are what the daily usage says",
    }
    assert (
        "usage_date 2026-03-02"
        in failed["Each day's cost and tokens are what the daily usage says"]
    )


def test_a_day_that_was_written_to_meanwhile_is_not_blamed(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        f"delete from {FOCUS} where usage_date = '2026-03-02'",
        "update omni2.audit_logs set change_xid = 1000000000000"
        " where id = ("
        "select min(id) from omni2.audit_logs where timestamp >= '2026-03-02 00:00+00')",
    )
    assert "bill_focus" not in {result.suite for result in judge(dsn).failures}
