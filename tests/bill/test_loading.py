"""Importing again: by bucket, nothing twice, and the old figure stays readable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from omniledger.bill import loading, reading
from omniledger.database import Dsn, connect
from omniledger.errors import InputError, NotReadyError
from tests.bill.conftest import SAMPLES, Import, Save, cost_bucket, page, usage_bucket
from tests.conftest import Server, ask

_USAGE = "select bucket_start::date::text, token_kind, quantity::bigint from ledger.provider_usage"


def hours(tokens: int, first: int = 0, last: int = 24) -> list[dict[str, object]]:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    return [
        usage_bucket(
            tokens,
            starting_at=(start + timedelta(hours=n)).isoformat(),
            ending_at=(start + timedelta(hours=n + 1)).isoformat(),
        )
        for n in range(first, last)
    ]


def inputs(dsn: Dsn) -> int:
    [(tokens,)] = ask(
        dsn,
        "select coalesce(sum(quantity), 0)::bigint from ledger.provider_usage"
        " where token_kind = 'input'",
    )
    return int(tokens)


def test_all_samples_go_in(take: Import, dsn: Dsn) -> None:
    names = ("usage_report.json", "cost_report.json", "console_usage.csv", "console_cost.csv")
    imported = take(*(SAMPLES / name for name in names))
    assert [one.form for one in imported] == [
        "usage_report",
        "cost_report",
        "console_usage",
        "console_cost",
    ]
    assert ask(dsn, "select sum(amount_usd)::text from ledger.provider_costs") == [("20.3079792",)]


def test_the_same_file_twice_changes_nothing(take: Import, dsn: Dsn) -> None:
    file = SAMPLES / "cost_report.json"
    first, second = take(file, file)
    assert (first.buckets_changed, second.buckets_changed) == (1, 0)
    assert (first.charges, second.buckets_unchanged) == (4, 1)
    assert ask(
        dsn,
        "select (select count(*) from ledger.provider_costs),"
        " (select count(*) from ledger.provider_costs_history)",
    ) == [(4, 0)]


def test_a_day_that_comes_again_is_replaced_and_the_old_figure_kept(
    take: Import, save: Save, dsn: Dsn
) -> None:
    take(save("1.json", page(cost_bucket("100"))))
    [_, again] = take(save("2.json", page(cost_bucket("90.5"))), SAMPLES / "analytics_cost.json")
    assert ask(
        dsn,
        "select trim_scale(amount_usd)::text, import_id, replaced_by"
        " from ledger.provider_costs_history order by replaced_by",
    ) == [("1", 1, 2), ("0.905", 2, again.import_id)]
    assert ask(dsn, "select sum(amount_usd)::text from ledger.provider_costs") == [("4.055725",)]


def test_what_was_there_before_can_come_back(take: Import, save: Save, dsn: Dsn) -> None:
    one, other = save("1.json", page(usage_bucket(1))), save("2.json", page(usage_bucket(2)))
    take(one, other, one)
    assert inputs(dsn) == 1
    assert ask(dsn, "select count(*) from ledger.provider_usage_history") == [(4,)]


def test_usage_and_cost_of_a_day_do_not_replace_each_other(
    take: Import, save: Save, dsn: Dsn
) -> None:
    take(save("1.json", page(usage_bucket(7))), save("2.json", page(cost_bucket())))
    assert inputs(dsn) == 7


def test_a_day_of_which_nothing_is_left_is_empty(take: Import, save: Save, dsn: Dsn) -> None:
    second = {"starting_at": "2026-03-02T00:00:00Z", "ending_at": "2026-03-03T00:00:00Z"}
    empty = {**usage_bucket(), "results": []}
    take(save("1.json", page(usage_bucket(7))))
    take(save("2.json", page(empty, usage_bucket(1, **second))))
    assert inputs(dsn) == 1
    assert ask(dsn, "select count(*) from ledger.provider_buckets") == [(2,)]


def test_hours_replace_the_day_that_they_make_up(take: Import, save: Save, dsn: Dsn) -> None:
    take(save("day.json", page(usage_bucket(1000))))
    take(save("hours.json", page(*hours(3))))
    assert inputs(dsn) == 72
    take(save("day.json", page(usage_bucket(1000))))
    assert inputs(dsn) == 1000


def test_hours_that_are_not_the_whole_day_are_refused(take: Import, save: Save, dsn: Dsn) -> None:
    take(save("day.json", page(usage_bucket(1000))))
    with pytest.raises(
        InputError, match=r"part of 2026-03-01 00:00 UTC to 2026-03-02 00:00 UTC.*import the whole"
    ):
        take(save("hours.json", page(*hours(3, last=23))))
    assert inputs(dsn) == 1000


def test_two_who_import_at_once_leave_one_of_each(save: Save, dsn: Dsn) -> None:
    files = [save(f"{n}.json", page(usage_bucket(n + 1))) for n in range(4)]

    def take_one(number: int) -> None:
        with connect(dsn, autocommit=True) as connection:
            [document] = reading.documents([files[number]])
            loading.take_in(connection, document)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_one, range(4)))
    assert ask(dsn, "select count(*) from ledger.provider_usage where token_kind = 'input'") == [
        (1,)
    ]
    assert ask(dsn, "select count(*) from ledger.provider_usage_history") == [(6,)]


def test_a_database_that_is_not_upgraded(server: Server) -> None:
    with connect(server.new(), autocommit=True) as connection:
        [document] = reading.documents([SAMPLES / "plain.csv"])
        with pytest.raises(NotReadyError, match="alembic upgrade head"):
            loading.take_in(connection, document)


@pytest.mark.slow
def test_a_long_file_is_taken_in_as_a_set(take: Import, save: Save, dsn: Dsn) -> None:
    rows = "".join(f"2026-03-{1 + n % 28:02},model {n},input,{n},0.000001\n" for n in range(40_000))
    [imported] = take(save("long.csv", f"date,model,kind,tokens,cost_usd\n{rows}"))
    assert (imported.charges, imported.buckets_changed) == (80_000, 56)
    assert inputs(dsn) == sum(range(40_000))
