"""What people type to say when the flows run."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.schemas.schedules import CronSchedule

from omniledger.errors import SettingsError
from omniledger.scheduling.times import Plan, read_interval


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), (" 6 H ", 21600), ("1d", 86400)]
)
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read_interval(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "0m", "-5m", "5 minutes", "1w", "367d", "999999d", "9999999d"]
)
def test_what_is_no_interval_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(SettingsError, match="write it like"):
        read_interval(text)


@pytest.mark.parametrize(
    "line",
    [
        *("", "* * *", "15 0 * * * *", "61 0 * * *", "every day", "0 0 31 2 *"),
        *("0 0 LW * *", "0 0 * * 5L"),
    ],
)
def test_a_cron_line_that_names_no_time_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="no cron line"):
        Plan(line, None, "UTC")


@pytest.mark.parametrize("line", ["0 0 L * *", "0 0 * * fri#1", "*/5 0-6 1,15 jul mon"])
def test_a_cron_line_that_is_taken_is_one_of_prefects(line: str) -> None:
    Plan(line, None, "UTC")
    assert CronSchedule(cron=line).cron == line


def test_the_two_ways_to_say_it_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        Plan("0 0 * * *", "1d", "UTC")


def test_a_cron_line_is_read_in_the_zone_of_the_figures() -> None:
    plan = Plan("30 1 * * *", None, "Europe/Berlin")
    due = plan.daily.last_due(datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert due == datetime(2026, 6, 30, 23, 30, tzinfo=UTC)


def test_a_plan_reaches_the_runner_as_it_was() -> None:
    plan = Plan(None, "6h", "Asia/Kolkata", "90s")
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(("typed", "said"), [("90s", "90s"), ("120s", "2m"), ("24h", "1d")])
def test_an_interval_is_said_as_it_is_typed(typed: str, said: str) -> None:
    assert str(Plan(None, typed, "UTC").daily) == f"every {said}"
