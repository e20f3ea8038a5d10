"""What a verdict says to people."""

from uuid import uuid4

from expectations.verdict import Cell, Judgement, Severity, Verdict, row_in_words


def judgement(
    expectation: str, severity: Severity = "stop", *, count: int = 0, **key: Cell
) -> Judgement:
    return Judgement(
        suite="daily_usage",
        expectation=expectation,
        column=None,
        severity=severity,
        passed=count == 0,
        observed="no row breaks it" if count == 0 else f"{count} rows break it",
        unexpected_count=count,
        sample=tuple({**key, "row": number} for number in range(count)),
    )


def verdict(*results: Judgement) -> Verdict:
    passed = all(result.passed or result.severity == "warn" for result in results)
    return Verdict(run_id=uuid4(), passed=passed, results=results)


def test_refusal_names_the_expectation_and_rows_by_key() -> None:
    refused = verdict(
        judgement(
            "No day is missing", count=3, usage_key="0a1b", usage_date="2026-03-01", user_id=None
        )
    )

    assert refused.reason() == (
        'The gate refused the figures: "No day is missing" in daily_usage, but 3 rows break it '
        "(usage_date 2026-03-01, user_id missing, row 0; "
        "usage_date 2026-03-01, user_id missing, row 1)."
    )
    assert refused.reason().isascii()


def test_a_row_that_has_nothing_else_is_named_by_its_own_key() -> None:
    assert row_in_words({"usage_key": "0a1b"}) == "usage_key 0a1b"


def test_refusal_counts_the_failures_that_it_does_not_name() -> None:
    refused = verdict(*(judgement(f"Rule {n}", count=2) for n in range(5)), judgement("Rule 5"))

    assert refused.reason().count('"Rule') == 3
    assert refused.reason().endswith("; and 2 more expectations failed.")


def test_warning_is_told_and_stops_nothing() -> None:
    warned = verdict(judgement("All is known", "warn", count=1, id=7), judgement("All is there"))

    assert warned.passed
    assert [w.expectation for w in warned.warnings] == ["All is known"]
    assert warned.failures == ()
    assert warned.reason().startswith(
        '2 expectations judged, none stops the figures; 1 warning: "All is known" in daily_usage'
    )


def test_good_figures_get_one_short_sentence() -> None:
    assert verdict(judgement("All is there")).reason() == (
        "1 expectation judged, none stops the figures."
    )
