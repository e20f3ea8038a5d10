"""Incremental marts are exactly what they would be if built anew, and touch changed days only."""

from __future__ import annotations

import pytest

from omniledger.database import connect
from tests.conftest import ask
from tests.models.conftest import HEALTH, MARTS, TOOLS, USAGE, Marts, Prepared, event_at, request_at

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def fill(marts: Marts) -> None:
    """Three days with a request, a tool call and some events each."""
    for day in DAYS:
        request_at(marts, f"{day} 12:00+00", user_id=1, tokens_input=1000, tokens_output=100)
        request_at(marts, f"{day} 13:00+00", user_id=1, mcp_target="files", tool_called="read")
        event_at(marts, f"{day} 12:00+00")
        event_at(marts, f"{day} 12:05+00", "timeout", response_time_ms=30)


@pytest.fixture
def filled(prepared: Prepared) -> Marts:
    return prepared.in_state("changed days", fill)


def test_a_run_without_a_change_changes_nothing(filled: Marts) -> None:
    before = {mart: filled.rows(mart) for mart in MARTS}
    assert all(before.values())
    filled.run()
    assert {mart: filled.rows(mart) for mart in MARTS} == before
    filled.assert_as_if_built_anew()


def test_a_late_row_changes_its_day_only(filled: Marts) -> None:
    request_at(filled, "2026-03-02 23:59:59.999999+00", tokens_input=5)
    with filled.changing(USAGE, "2026-03-02"), filled.changing(HEALTH):
        filled.run()
    filled.assert_as_if_built_anew()


def test_a_row_whose_writer_calls_it_old_is_in_its_day(filled: Marts) -> None:
    request_at(filled, "2026-03-02 10:00+00", tokens_input=5, change_xid=5)
    event_at(filled, "2026-03-02 12:03+00", change_xid=5)
    with filled.changing(USAGE, "2026-03-02"):
        filled.run()
    filled.assert_as_if_built_anew()


def test_an_update_changes_its_day_only(filled: Marts) -> None:
    row = request_at(filled, "2026-03-01 10:00+00", mcp_target="files", tool_called="write")
    filled.run()
    ask(filled.dsn, "update omni2.audit_logs set success = false where id = %s", row)
    with filled.changing(USAGE, "2026-03-01"), filled.changing(TOOLS, "2026-03-01"):
        filled.run()
    filled.assert_as_if_built_anew()


def test_a_row_that_moves_changes_both_days(filled: Marts) -> None:
    ask(
        filled.dsn,
        "update omni2.audit_logs set timestamp = '2026-03-05 01:00+00'"
        " where timestamp < '2026-03-02' and tool_called is not null",
    )
    with filled.changing(TOOLS, "2026-03-01", "2026-03-05"):
        filled.run()
    filled.assert_as_if_built_anew()


def test_a_day_that_loses_its_last_row_is_gone(filled: Marts) -> None:
    ask(filled.dsn, "delete from omni2.audit_logs where timestamp < '2026-03-02'")
    with filled.changing(USAGE, "2026-03-01"), filled.changing(TOOLS, "2026-03-01"):
        filled.run()
    filled.assert_as_if_built_anew()


def test_a_row_that_loses_its_time_leaves_its_day(filled: Marts) -> None:
    ask(
        filled.dsn,
        "alter table omni2.audit_logs alter timestamp drop not null;"
        "update omni2.audit_logs set timestamp = null where timestamp < '2026-03-02'",
    )
    with filled.changing(USAGE, "2026-03-01"):
        filled.run()
    filled.assert_as_if_built_anew()


def test_an_emptied_table_leaves_no_figure(filled: Marts) -> None:
    ask(filled.dsn, "truncate omni2.audit_logs cascade")
    said = filled.run()
    assert "fct_daily_usage: every day is built again, because audit_logs was emptied." in said
    assert filled.rows(USAGE) == filled.rows(TOOLS) == []
    assert filled.rows(HEALTH)
    filled.assert_as_if_built_anew()


def test_a_row_that_was_not_committed_in_time_is_found_later(filled: Marts) -> None:
    with connect(filled.dsn) as slow:
        slow.execute(
            "insert into omni2.audit_logs (timestamp, question, success, tokens_input)"
            " values ('2026-03-01 10:00+00', 'slow', true, 7)"
        )
        request_at(filled, "2026-03-02 10:00+00", tokens_input=9)
        with filled.changing(USAGE, "2026-03-02"):
            filled.run()
    with filled.changing(USAGE, "2026-03-01", "2026-03-02"):
        filled.run()
    filled.assert_as_if_built_anew()
    with filled.changing(USAGE):
        filled.run()


def test_a_deletion_that_was_not_committed_in_time_is_found_later(filled: Marts) -> None:
    with connect(filled.dsn) as slow:
        slow.execute("delete from omni2.audit_logs where timestamp < '2026-03-02'")
        request_at(filled, "2026-03-02 10:00+00", tokens_input=9)
        filled.run()
    filled.run()
    assert "2026-03-01" not in map(str, filled.built(USAGE))
    filled.assert_as_if_built_anew()


def test_everything_of_a_mart_is_one_snapshot(filled: Marts) -> None:
    ask(
        filled.dsn,
        """
        create table seen (snapshot text, isolation text);
        create function see() returns trigger language plpgsql as $$
        begin
            insert into public.seen
            values (pg_current_snapshot()::text, current_setting('transaction_isolation'));
            return null;
        end
        $$;
        create trigger see after delete or insert on analytics_build.fct_daily_usage
        execute function see();
        create trigger see after delete or insert on analytics_build.control_totals
        execute function see();
        create trigger see after delete or insert on analytics_build.build_inputs
        execute function see();
        """,
    )
    request_at(filled, "2026-03-01 10:00+00", tokens_input=7)
    filled.run(USAGE)
    seen = ask(filled.dsn, "select count(*), min(isolation), count(distinct snapshot) from seen")
    assert seen == [(7, "repeatable read", 1)]


def test_the_first_build_has_its_control_totals(marts: Marts) -> None:
    request_at(marts, "2026-03-01 10:00+00", tokens_input=7, tokens_output=-1, cost_usd="NaN")
    request_at(marts, "2026-03-01 10:00+00", mcp_target="files", tool_called="read")
    ask(marts.dsn, "drop table analytics_build.fct_daily_usage, analytics_build.control_totals")
    ask(marts.dsn, "drop table analytics_build.build_inputs")
    marts.run()
    assert ask(marts.dsn, "select requests, tokens_input from analytics_build.control_totals") == [
        (1, 7)
    ]
    marts.assert_as_if_built_anew()
    marts.run_in_full()
    marts.assert_as_if_built_anew()


def test_names_of_models_are_looked_for_among_new_rows_only(filled: Marts) -> None:
    names = "analytics_build.int_met_model_names"

    def met() -> list[str]:
        """The names that a run finds where it knows none."""
        ask(filled.dsn, f"delete from {names}")
        filled.dbt(filled.dsn, "run", "--select", "int_met_model_names")
        return [name for (name,) in ask(filled.dsn, f"select model_name from {names} order by 1")]

    request_at(filled, "2026-03-01 10:00+00", llm_model="old")
    with connect(filled.dsn) as slow:
        slow.execute(
            "insert into omni2.audit_logs (timestamp, question, success, llm_model)"
            " values ('2026-03-01 10:00+00', '?', true, 'slow')"
        )
        request_at(filled, "2026-03-01 10:00+00", llm_model="new")
        assert met() == ["new", "old"]
    assert met() == ["new", "slow"]
    assert met() == []
    # As after a restore into another cluster, whose ids are lower.
    ask(
        filled.dsn,
        "update analytics_build.build_inputs set content = '1000000000000000'"
        " where mart = 'int_met_model_names'",
    )
    assert met() == ["new", "old", "slow"]
