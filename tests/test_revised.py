"""What was published before it was published otherwise stays readable."""

from datetime import date
from decimal import Decimal

import pytest

from omniledger.database import Dsn
from tests.conftest import Server, ask
from tests.expectations.marts import built_marts, spoil
from tests.test_publish import USAGE, published, rebuild

REVISIONS = """
    select usage_date, user_id, llm_model, source_system, reason, old ->> {figure}, new ->> {figure}
    from analytics.usage_revisions order by 1, 2, 3, 4
"""


@pytest.fixture
def dsn(server: Server) -> Dsn:
    dsn = built_marts(server)
    published(dsn)
    return dsn


def revisions(dsn: Dsn, figure: str) -> list[tuple[object, ...]]:
    return ask(dsn, REVISIONS.replace("{figure}", f"'{figure}'"))


def published_figures(dsn: Dsn, figure: str, day: str) -> dict[object, Decimal]:
    figures = f"select user_id, {figure} from analytics.{USAGE} where usage_date = %s"
    return dict(ask(dsn, f"{figures} and source_system = 'legacy'", day))


def test_a_first_publication_and_a_day_built_again_as_it_was_revise_nothing(dsn: Dsn) -> None:
    assert revisions(dsn, "requests") == []
    rebuild(dsn, USAGE, "2026-03-02")
    published(dsn)
    assert revisions(dsn, "requests") == []


def test_another_price_keeps_what_was_published(dsn: Dsn) -> None:
    before = published_figures(dsn, "cost_recomputed_usd", "2026-03-02")
    rebuild(dsn, USAGE, "2026-03-02", ", cost_recomputed_usd = cost_recomputed_usd * 2")
    published(dsn)
    after = published_figures(dsn, "cost_recomputed_usd", "2026-03-02")
    kept = {
        (user, source): (reason, Decimal(str(old)), Decimal(str(new)))
        for _, user, _, source, reason, old, new in revisions(dsn, "cost_recomputed_usd")
        if source == "legacy"
    }
    assert kept == {(user, "legacy"): ("price", before[user], after[user]) for user in before}
    assert all(after[user] == 2 * before[user] for user in before)


def test_rows_that_came_are_the_reason(dsn: Dsn) -> None:
    rebuild(
        dsn,
        USAGE,
        "2026-03-03",
        ", requests = requests + (user_id = 1 and source_system = 'legacy')::int",
    )
    published(dsn)
    assert revisions(dsn, "requests") == [
        (date(2026, 3, 3), 1, "haiku", "legacy", "rows", "6", "7")
    ]


def test_requests_of_another_model_are_the_models_doing(dsn: Dsn) -> None:
    rebuild(
        dsn,
        USAGE,
        "2026-03-03",
        ", llm_model = case when user_id = 1 then 'opus' else llm_model end",
    )
    published(dsn)
    legacy = [row[2:] for row in revisions(dsn, "requests") if row[3] == "legacy"]
    assert legacy == [
        ("haiku", "legacy", "model", "6", None),
        ("opus", "legacy", "model", None, "6"),
    ]


@pytest.mark.parametrize("figure", ["tool_calls", "errors", "tokens_cache_write"])
def test_rows_that_came_or_changed_without_a_request_more_are_no_other_model(
    dsn: Dsn, figure: str
) -> None:
    one_more = "(user_id = 1 and source_system = 'legacy')::int"
    rebuild(dsn, USAGE, "2026-03-03", f", {figure} = coalesce({figure}, 0) + {one_more}")
    published(dsn)
    reasons = {row[4] for row in revisions(dsn, figure) if row[5:] != (None, "0")}
    assert reasons == {"rows"}


def test_days_of_another_time_zone_are_told_from_rows_that_came(dsn: Dsn) -> None:
    one_more = "(user_id = 1 and source_system = 'legacy')::int"
    zone = "update ledger.settings set value = %r where name = 'reporting_timezone'"
    for name, reason in (("Asia/Tokyo", "zone"), ("Asia/Tokyo", "rows")):
        spoil(dsn, zone % name, "truncate analytics.usage_revisions")
        rebuild(dsn, USAGE, "2026-03-03", f", requests = requests + {one_more}")
        published(dsn)
        assert {row[4] for row in revisions(dsn, "requests")} == {reason}


def test_a_column_that_the_models_gain_revises_nothing(dsn: Dsn) -> None:
    spoil(dsn, f"alter table analytics_build.{USAGE} add column cost_new_usd numeric default 1")
    rebuild(dsn, USAGE, "2026-03-02")
    published(dsn)
    assert revisions(dsn, "requests") == []
    rebuild(dsn, USAGE, "2026-03-02", ", cost_new_usd = 2")
    published(dsn)
    assert {row[4:] for row in revisions(dsn, "cost_new_usd")} == {("price", "1", "2")}


def test_a_day_that_was_emptied_and_comes_back_is_revised_twice(dsn: Dsn) -> None:
    spoil(
        dsn,
        f"create table public.kept as select * from analytics_build.{USAGE}"
        " where usage_date = '2026-03-02' and user_id = 1 and source_system = 'legacy'",
        f"delete from analytics_build.{USAGE} where usage_date = '2026-03-02'",
    )
    published(dsn)
    emptied = len(revisions(dsn, "requests"))
    assert emptied > 0
    assert {row[6] for row in revisions(dsn, "requests")} == {None}
    spoil(dsn, f"insert into analytics_build.{USAGE} select * from public.kept")
    rebuild(dsn, USAGE, "2026-03-02")
    published(dsn)
    [back] = [row for row in revisions(dsn, "requests") if row[6] is not None]
    assert (back[0], back[1], back[4], back[5]) == (date(2026, 3, 2), 1, "rows", None)
