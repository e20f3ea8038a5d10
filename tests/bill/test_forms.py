"""Each form of a bill is read for what it says, to the last digit."""

from decimal import Decimal
from pathlib import Path

import pytest

from omniledger.bill import reading
from omniledger.bill.facts import Fact
from tests.bill.conftest import DAY, SAMPLES, Save, cost_bucket, page, usage_bucket


def read(*files: Path) -> list[Fact]:
    return [fact for document in reading.documents(files) for fact in document.read()]


def counts(facts: list[Fact]) -> dict[str | None, int]:
    return {f.kind: f.quantity for f in facts if f.quantity is not None}


def charges(facts: list[Fact]) -> dict[str | None, Decimal]:
    return {f.kind or f.cost_type: f.amount for f in facts if f.amount is not None}


def test_the_usage_report_tells_the_kinds_of_tokens_apart() -> None:
    facts = read(SAMPLES / "usage_report.json")
    assert counts(facts) == {
        "input": 18059974,
        "output": 250000,
        "cache_write_5m": 120000,
        "web_search": 12,
    }
    assert {f.model for f in facts if f.kind} == {"claude-3-5-haiku-20241022"}
    assert {f.start.isoformat() for f in facts} == {"2023-11-16T00:00:00+00:00"}


def test_amounts_of_the_cost_report_are_cents() -> None:
    assert charges(read(SAMPLES / "cost_report.json")) == {
        "input": Decimal("14.4479792"),
        "output": Decimal(1),
        "cache_write_5m": Decimal("0.12"),
        "web_search": Decimal("0.12"),
    }


def test_a_fraction_of_a_cent_keeps_all_its_digits(save: Save) -> None:
    amount = "0.1234567890123456789012345678901234"
    [_, fact] = read(save("cost.json", page(cost_bucket(amount))))
    assert fact.amount == Decimal("0.001234567890123456789012345678901234")


def test_the_newer_form_says_what_it_cost_before_the_discount() -> None:
    facts = read(SAMPLES / "analytics_cost.json")
    assert charges(facts) == {
        "input": Decimal("2.7"),
        "output": Decimal("1.355"),
        "code_execution": Decimal("0.000725"),
    }
    assert facts[0].list_amount == Decimal(3)


def test_an_export_of_usage_may_quote_and_leave_out() -> None:
    facts = read(SAMPLES / "console_usage.csv")
    assert [f.quantity for f in facts if f.kind == "input"] == [1000000, 500000]
    assert [f.quantity for f in facts if f.kind == "cache_write_1h"] == [5000]
    assert [(f.workspace, f.tier) for f in facts if f.kind == "output"] == [
        ("Default", "standard"),
        ("Default, old", "batch"),
    ]


def test_an_export_of_cost_is_in_dollars() -> None:
    assert charges(read(SAMPLES / "console_cost.csv")) == {
        "input": Decimal("3.00"),
        "output": Decimal("1.50"),
        "cached": Decimal("0.09"),
        "web_search": Decimal("0.03"),
    }


def test_a_plain_file_says_tokens_and_dollars() -> None:
    facts = read(SAMPLES / "plain.csv")
    assert counts(facts) == {"input": 1000000, "output": 100000}
    assert charges(facts) == {
        "input": Decimal(3),
        "output": Decimal("1.5"),
        "code_execution": Decimal("0.05"),
    }


def test_a_plain_file_without_a_column_of_cost_says_nothing_of_cost(save: Save) -> None:
    facts = read(save("plain.csv", "date,model,kind,tokens\n2026-03-01,m,input,5\n"))
    assert {f.fact for f in facts} == {"usage"}


@pytest.mark.parametrize("in_one_file", [True, False])
def test_pages_are_joined(save: Save, in_one_file: bool) -> None:
    second = {"starting_at": "2026-03-02T00:00:00Z", "ending_at": "2026-03-03T00:00:00Z"}
    pages = [page(usage_bucket(1), has_more=True), page(usage_bucket(2, **second))]
    if in_one_file:
        files = [save("all.json", pages)]
    else:
        files = [save("1.json", pages[0]), save("2.json", pages[1])]
    [document] = reading.documents(files)
    assert [f.quantity for f in document.read() if f.kind == "input"] == [1, 2]


def test_empty_buckets_may_be_left_out(save: Save) -> None:
    """Where a page leaves some out, a gap before the next page is no page that is missing."""
    days = [
        {"starting_at": f"2026-03-0{n}T00:00:00Z", "ending_at": f"2026-03-0{n + 1}T00:00:00Z"}
        for n in (1, 4, 8)
    ]
    first, second, third = (usage_bucket(1, **day) for day in days)
    file = save("usage.json", [page(first, has_more=True), page(second, third)])
    assert len(read(file)) == 9


def test_an_empty_bucket_is_known_to_be_empty(save: Save) -> None:
    empty = {**DAY, "results": []}
    later = {"starting_at": "2026-03-02T00:00:00Z", "ending_at": "2026-03-03T00:00:00Z"}
    facts = read(save("usage.json", page(empty, usage_bucket(1, **later))))
    assert (facts[0].kind, f"{facts[0].start:%d}") == (None, "01")


def test_a_byte_order_mark_does_no_harm(save: Save) -> None:
    content = (SAMPLES / "plain.csv").read_bytes()
    assert len(read(save("plain.csv", b"\xef\xbb\xbf" + content))) == len(
        read(SAMPLES / "plain.csv")
    )
