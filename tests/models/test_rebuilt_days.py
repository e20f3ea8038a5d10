"""What is not a row changes days, too: settings, prices, models, another cluster."""

from __future__ import annotations

import pytest

from tests.conftest import ask
from tests.models.conftest import (
    HEALTH,
    MARTS,
    PRICED,
    QUOTA,
    TOOLS,
    USAGE,
    DbtFailed,
    Marts,
    Prepared,
    event_at,
    request_at,
)

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def fill(marts: Marts) -> None:
    """Three days, whose last hour is another day further east."""
    ask(
        marts.dsn,
        "insert into ledger.model_prices (model, valid_from, input, output, source)"
        " values ('a', '-infinity', 1, 2, 'test'), ('b', '-infinity', 3, 4, 'test')",
    )
    for day in DAYS:
        for model in ("a", "b", None):
            if model != "b" or day != "2026-03-02":
                request_at(
                    marts,
                    f"{day} 23:30+00",
                    user_id=9,
                    llm_model=model,
                    tokens_input=1000000,
                    tokens_output=0,
                )
        request_at(marts, f"{day} 23:30+00", mcp_target="files", tool_called="read")
        event_at(marts, f"{day} 22:55+00")


@pytest.fixture
def filled(prepared: Prepared) -> Marts:
    return prepared.in_state("rebuilt days", fill)


def test_another_time_zone_builds_every_day_again(filled: Marts) -> None:
    zone = {"reporting_timezone": "Europe/Berlin"}
    said = filled.run(**zone)
    for mart in MARTS:
        assert f"{mart}: every day is built again, because its reporting_timezone changed." in said
    assert list(map(str, sorted(filled.built(TOOLS)))) == ["2026-03-02", "2026-03-03", "2026-03-04"]
    changed = {mart: filled.figures(mart) for mart in MARTS}
    with filled.changing(USAGE), filled.changing(TOOLS), filled.changing(HEALTH):
        filled.run(**zone)
    filled.run_in_full(**zone)
    assert {mart: filled.figures(mart) for mart in MARTS} == changed


def test_another_default_model_builds_usage_again(filled: Marts) -> None:
    with filled.changing(USAGE, *DAYS), filled.changing(TOOLS), filled.changing(HEALTH):
        filled.run(default_model="b")
    models = "select distinct llm_model from analytics_build.fct_daily_usage order by 1"
    assert ask(filled.dsn, models) == [("a",), ("b",)]


def test_another_objective_builds_health_again(filled: Marts) -> None:
    with filled.changing(USAGE), filled.changing(TOOLS):
        said = filled.run(health_objective="0.9")
    assert "fct_daily_health: every day is built again, because its health_objective" in said


def test_another_hold_factor_builds_health_again(filled: Marts) -> None:
    up = "select sum(up_seconds)::integer from analytics_build.fct_daily_health"
    assert ask(filled.dsn, up) == [(3 * 900,)]
    filled.run(HEALTH, health_hold_factor="1")
    assert ask(filled.dsn, up) == [(3 * 300,)]


def test_marts_are_not_built_on_views_with_other_settings(filled: Marts) -> None:
    before = filled.rows(USAGE)
    with pytest.raises(DbtFailed, match="made with other settings"):
        filled.dbt(filled.dsn, "run", "--select", USAGE, OMNILEDGER_REPORTING_TIMEZONE="Asia/Tokyo")
    assert filled.rows(USAGE) == before


def test_figures_from_another_cluster_are_built_again(filled: Marts) -> None:
    before = {mart: filled.figures(mart) for mart in MARTS}
    for mart in MARTS:
        ask(filled.dsn, f"update analytics_build.{mart} set built_xmin = 9000000000000000000")
    said = filled.run()
    for mart in MARTS:
        assert f"{mart}: every day is built again, because it was built in another cluster." in said
        assert filled.figures(mart) == before[mart]
    with filled.changing(USAGE), filled.changing(TOOLS), filled.changing(HEALTH):
        filled.run()


def test_rows_that_were_restored_from_another_cluster_are_no_change(filled: Marts) -> None:
    ask(
        filled.dsn,
        "alter table omni2.audit_logs disable trigger user;"
        "update omni2.audit_logs set change_xid = 9000000000000000000;"
        "alter table omni2.audit_logs enable trigger user",
    )
    with filled.changing(USAGE):
        filled.run(USAGE)


def test_a_price_changes_the_days_of_its_model_in_its_time(filled: Marts) -> None:
    ask(
        filled.dsn,
        "insert into ledger.model_prices (model, valid_from, input, output, source)"
        " values ('b', '2026-03-02 00:00+00', 30, 40, 'test')",
    )
    with filled.changing(USAGE, "2026-03-03"), filled.changing(TOOLS):
        filled.run()
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "update ledger.model_prices set input = 31 where input = 30")
    with filled.changing(USAGE, "2026-03-03"):
        filled.run(*PRICED)
    ask(filled.dsn, "delete from ledger.model_prices where input = 31")
    with filled.changing(USAGE, "2026-03-03"):
        filled.run(*PRICED)
    filled.assert_as_if_built_anew()


def test_a_stated_model_changes_the_days_in_its_time(filled: Marts) -> None:
    ask(
        filled.dsn,
        "insert into ledger.model_history values"
        " ('2026-03-02 00:00+00', 'a'), ('2026-03-03 00:00+00', 'b')",
    )
    with filled.changing(USAGE, "2026-03-02", "2026-03-03"):
        filled.run(*PRICED)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "update ledger.model_history set model = 'b' where model = 'a'")
    with filled.changing(USAGE, "2026-03-02"):
        filled.run(*PRICED)
    filled.assert_as_if_built_anew()


def test_a_price_of_a_model_that_nobody_used_changes_no_day(filled: Marts) -> None:
    ask(
        filled.dsn,
        "insert into ledger.model_prices (model, valid_from, input, output, source)"
        " values ('c', '-infinity', 30, 40, 'test')",
    )
    with filled.changing(USAGE), filled.changing(QUOTA):
        filled.run(USAGE, QUOTA)


def test_an_own_price_changes_the_days_of_its_time(filled: Marts) -> None:
    ask(
        filled.dsn,
        "insert into ledger.model_prices"
        " (model, is_own, valid_from, valid_to, input, output, source) values"
        " ('b', true, '2026-03-01 00:00+00', '2026-03-02 00:00+00', 30, 40, 'operator')",
    )
    with filled.changing(USAGE, "2026-03-01"):
        filled.run(*PRICED)
    filled.assert_as_if_built_anew()


def test_a_name_changes_the_days_on_which_a_model_was_called_so(filled: Marts) -> None:
    request_at(filled, "2026-03-02 12:00+00", llm_model="vendor/other-20260101", tokens_input=5)
    filled.run(*PRICED)
    ask(filled.dsn, "insert into ledger.model_names values ('other', 'b', 'test')")
    with filled.changing(USAGE, "2026-03-02"):
        filled.run(*PRICED)
    models = "select llm_model, model_names from analytics_build.fct_daily_usage"
    assert ask(filled.dsn, f"{models} where 'vendor/other-20260101' = any(model_names)") == [
        ("b", ["vendor/other-20260101"])
    ]
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "update ledger.model_names set model = 'a' where name = 'other'")
    with filled.changing(USAGE, "2026-03-02"):
        filled.run(*PRICED)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "insert into ledger.model_names values ('unheard-of', 'a', 'test')")
    with filled.changing(USAGE):
        filled.run(*PRICED)


def test_a_limit_changes_its_users_days_from_then_on(filled: Marts) -> None:
    for user, day in ((1, "2026-03-01"), (1, "2026-03-02"), (2, "2026-03-03")):
        request_at(filled, f"{day} 10:00+00", user_id=user, cost_usd="3")
    filled.run()
    limit = "insert into ledger.limit_history values (%s, %s, %s, 'role')"
    ask(filled.dsn, limit, 1, "2026-03-02 12:00+00", 2)
    with filled.changing(QUOTA, "2026-03-02"), filled.changing(USAGE):
        filled.run()
    ask(filled.dsn, limit, None, "2026-03-03 12:00+00", 2)
    with filled.changing(QUOTA, "2026-03-03"):
        filled.run(QUOTA)
    over = "select usage_date::text, overspend_usd from analytics_build.fct_daily_quota"
    assert ask(filled.dsn, f"{over} where is_exceeded and user_id < 9 order by 1") == [
        ("2026-03-02", 1),
        ("2026-03-03", 1),
    ]
    filled.assert_as_if_built_anew()


def test_a_dimension_replaces_only_what_says_something_else(filled: Marts) -> None:
    server = "select mcp_server_id, mcp_server_name, built_at from analytics_build.dim_mcp_servers"
    ask(filled.dsn, "insert into omni2.mcp_servers (id, name) values (2, 'b'), (3, 'c')")
    filled.run(HEALTH)
    before = {row[0]: row[1:] for row in ask(filled.dsn, server)}
    ask(filled.dsn, "delete from omni2.mcp_servers where id = 2")
    ask(filled.dsn, "update omni2.mcp_servers set name = 'd' where id = 3")
    filled.run(HEALTH)
    after = {row[0]: row[1:] for row in ask(filled.dsn, server)}
    assert after.keys() == {1, 3}
    assert after[1] == before[1]
    assert after[3][0] == "d"


def test_other_code_builds_every_day_again(filled: Marts) -> None:
    ask(
        filled.dsn,
        "update analytics_build.build_inputs set content = 'older' where input_name = 'code'",
    )
    with filled.changing(USAGE, *DAYS):
        assert "every day is built again, because its code changed." in filled.run(USAGE)
    with filled.changing(USAGE):
        filled.run(USAGE)


def test_lost_control_totals_are_made_again(filled: Marts) -> None:
    ask(filled.dsn, "drop table analytics_build.control_totals")
    with filled.changing(USAGE, *DAYS), filled.changing(TOOLS):
        filled.run()
    filled.assert_as_if_built_anew()
