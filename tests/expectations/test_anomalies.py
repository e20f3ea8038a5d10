"""Days that look unlike others are warned of, and stop nothing."""

from pathlib import Path
from uuid import uuid4

import pytest

from expectations import gate
from expectations.advice import advice
from expectations.verdict import Judgement, Verdict
from omniledger.database import Dsn
from omniledger.errors import SettingsError
from tests.conftest import Server
from tests.expectations.marts import built_marts, spoil

REQUESTS = "Each day has about as many requests as the same weekday before"
CALLS = "Each day has about as many tool calls as the same weekday before"
QUIET = "Requests still come in"
UNKNOWN = "The cost of at most 5 % of a day's requests is unknown"

# Today is Thursday, 2026-03-05. Twelve weeks of days before, with none on Sundays; the raw rows of
# the first five days of March, and what else is judged, are left as they are.
WEEKS = """
create temp table days on commit drop as
select
    day::date as usage_date,
    case extract(dow from day) when 0 then 0 when 6 then 10 else 100 + nth % 3 end as requests
from generate_series(timestamp '2025-12-08', '2026-02-28', interval '1 day')
    with ordinality as all_days (day, nth);
insert into analytics_build.fct_daily_usage (
    usage_key, usage_date, llm_model, source_system, requests, tool_calls, requests_cost_unknown,
    errors, blocked, requests_model_assumed, requests_impossible, requests_cost_recorded,
    requests_cost_computed, requests_cost_estimated, tokens_cost_unknown, cost_recorded_usd,
    built_xmin, built_at
)
select
    'day ' || usage_date, usage_date, 'haiku', 'gateway', requests, 0, 0,
    0, 0, 0, 0, requests, 0, 0, null, 0, 900, '2026-03-05 18:00+00'
from days
where requests > 0
"""


@pytest.fixture
def dsn(server: Server) -> Dsn:
    dsn = built_marts(server)
    spoil(dsn, *WEEKS.split(";"))
    return dsn


def warned(dsn: Dsn, tmp_path: Path) -> tuple[Verdict, dict[str, Judgement]]:
    verdict = gate.judge(dsn, uuid4(), tmp_path / "site", tmp_path / "home")
    assert "anomalies" not in {failure.suite for failure in verdict.failures}
    return verdict, {w.expectation: w for w in verdict.warnings if w.suite == "anomalies"}


def test_unusual_days_are_warned_of_with_their_bands(dsn: Dsn, tmp_path: Path) -> None:
    usage = "analytics_build.fct_daily_usage"
    spoil(
        dsn,
        # One odd Monday among twelve moves no band.
        f"update {usage} set requests = 9000 where usage_date = '2026-01-05'",
        f"update {usage} set requests = 300 where usage_date = '2026-02-20'",
        # Yesterday nobody came.
        f"delete from {usage} where usage_date = '2026-03-04'",
        f"update {usage} set requests = 106 where usage_date = '2026-02-26'",
        f"update {usage} set requests_cost_unknown = 6, requests_cost_recorded = requests - 6"
        " where usage_date = '2026-02-25'",
        f"update {usage} set requests_cost_unknown = 4, requests_cost_recorded = requests - 4"
        " where usage_date = '2026-02-27'",
    )

    verdict, found = warned(dsn, tmp_path)

    days = {str(row["usage_date"]): row for row in found[REQUESTS].sample}
    assert {"2026-02-20", "2026-03-04"} <= set(days)
    # Not remarked on are Sundays without a request, and numbers within the band.
    assert not {"2026-02-22", "2026-02-26", "2026-02-16", "2026-02-21"} & set(days)
    assert days["2026-02-20"]["requests"] == 300
    assert days["2026-03-04"]["requests"] == 0
    # The median is 101, its root 10.05: more than any deviation of these.
    assert (days["2026-02-20"]["at_least"], days["2026-02-20"]["at_most"]) == ("50.8", "151.2")
    assert [row["usage_date"] for row in found[UNKNOWN].sample] == ["2026-02-25"]
    assert QUIET not in found
    for result in verdict.results:
        assert advice(result.suite, result.expectation) != "Look at the rows named."


def test_on_a_weekday_without_requests_a_few_are_chance_and_the_band_says_how_many(
    dsn: Dsn, tmp_path: Path
) -> None:
    move = "update analytics_build.fct_daily_usage set usage_date = '{}', requests = {}"
    spoil(
        dsn,
        f"{move.format('2026-02-15', 5)} where usage_date = '2026-02-14'",
        f"{move.format('2026-02-22', 60)} where usage_date = '2026-02-21'",
    )

    _, found = warned(dsn, tmp_path)

    days = {str(row["usage_date"]): row for row in found[REQUESTS].sample}
    assert "2026-02-15" not in days
    # Their median is none, of which the root is no scatter.
    assert (days["2026-02-22"]["at_least"], days["2026-02-22"]["at_most"]) == ("0.0", "5.0")


def test_silence_is_warned_of_where_it_is_longer_than_before(dsn: Dsn, tmp_path: Path) -> None:
    usage = "analytics_build.fct_daily_usage"
    spoil(
        dsn,
        f"delete from {usage} where usage_date >= '2026-03-03'",
        "insert into ledger.settings values ('gate_unknown_cost_share', '0.5')",
    )

    verdict, found = warned(dsn, tmp_path)

    [silent] = found[QUIET].sample
    assert silent == {"last_date": "2026-03-02", "quiet_days": 2}
    assert UNKNOWN.replace("5 %", "50 %") in {result.expectation for result in verdict.results}


def test_a_bound_that_is_no_number_is_one_sentence(dsn: Dsn, tmp_path: Path) -> None:
    spoil(dsn, "insert into ledger.settings values ('gate_volume_band', 'wide')")
    with pytest.raises(SettingsError, match=r"gate_volume_band in ledger\.settings is 'wide'"):
        gate.judge(dsn, uuid4(), tmp_path / "site", tmp_path / "home")
