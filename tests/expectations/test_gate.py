"""The gate against marts that are right, and against each way in which they can be wrong."""

from pathlib import Path
from uuid import UUID

import pytest

from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from omniledger.marts import MARTS
from omniledger.publish import publish
from tests.conftest import Server, ask
from tests.expectations.conftest import Judge, said
from tests.expectations.marts import build_marts, built_marts, spoil

RUN = UUID("6f0c3c5e-0000-4000-8000-000000000001")


def test_right_figures_pass_and_the_verdict_is_kept(each_server: Server, judge: Judge) -> None:
    dsn = built_marts(each_server)

    verdict = judge(dsn, RUN)
    again = judge(dsn, RUN)

    assert verdict.passed
    assert verdict.warnings == ()
    assert {r.suite for r in verdict.results} == {
        "daily_usage",
        "daily_quota",
        "daily_tool_usage",
        "daily_mcp_cost",
        "daily_health",
        "bill_focus",
        "bill_reconciliation",
        "incidents",
        "hourly_health",
        "dim_users",
        "dim_mcp_servers",
        "audit_logs",
        "audit_quarantine",
        "mcp_health_log",
        "anomalies",
        "pruned_days",
    }
    # Judged again, a run has its last verdict only.
    assert ask(dsn, "select count(*), bool_and(passed) from ledger.gate_results") == [
        (len(again.results), True)
    ]


def test_rows_with_any_letters_are_kept_where_no_encoding_is_named(
    server: Server, judge: Judge
) -> None:
    dsn = build_marts(server.new_in("SQL_ASCII"))
    spoil(dsn, "update omni2.audit_logs set status = 'Grüße' where id = 50")

    judge(dsn)

    query = "select sample -> 0 ->> 'word' from ledger.gate_results where not passed"
    assert ask(dsn, query) == [("Grüße",)]


def test_an_installation_without_a_row_is_in_order(dsn: Dsn, judge: Judge) -> None:
    tables = [f"analytics_build.{mart.name}" for mart in MARTS]
    logs = ["omni2.audit_logs", "omni2.mcp_health_log", "analytics_build.control_totals"]
    spoil(dsn, f"truncate {', '.join((*tables, *logs, 'ledger.provider_buckets'))}")

    verdict = judge(dsn)

    assert verdict.passed
    assert verdict.warnings == ()


def test_wrong_daily_quota_is_refused(dsn: Dsn, judge: Judge) -> None:
    mart = "analytics_build.fct_daily_quota"
    spoil(
        dsn,
        f"update {mart} set cost_used_usd = 11, cost_recorded_usd = 11 "
        "where usage_date = '2026-03-01' and user_id = 1",
        f"update {mart} set cost_limit_usd = 0.0001, crossed_at = '2026-03-01 12:00+00', "
        "is_exceeded = true, overspend_usd = cost_used_usd - 0.0001 "
        "where usage_date = '2026-03-02' and user_id = 1",
        f"update {mart} set cost_unpriced_usd = 'NaN', cost_used_usd = 'NaN', tokens_unpriced = 7 "
        "where usage_date = '2026-03-05' and user_id = 1",
        f"delete from {mart} where usage_date = '2026-03-04' and user_id = 2",
    )

    verdict = judge(dsn)
    failed = said(verdict, "daily_quota")

    assert not verdict.passed
    assert (
        "cost_used_usd 11" in failed["Use, limit, crossing and overspend agree, to the last digit"]
    )
    assert "2026-03-02" in failed["A limit is crossed on its own day"]
    assert "NaN" in failed["Each figure is a number from zero up"]
    assert "2026-03-04" in failed["The use of each day and user is what the ledger holds"]
    assert "0.0001" in failed["Nobody spent more than the limit"]
    assert "2026-03-05" in failed["The cost of all tokens that count is recorded"]


def test_parts_of_the_cost_that_do_not_add_up_are_refused(dsn: Dsn, judge: Judge) -> None:
    spoil(dsn, "update analytics_build.fct_daily_usage set cost_usd = cost_usd + 0.0000000001")
    failed = said(judge(dsn), "daily_usage")
    assert set(failed) == {
        "The parts of the cost add up to it, to the last digit",
        "Each day, user, model and source has the figures that the ledger has",
    }


def test_wrong_daily_usage_is_refused(dsn: Dsn, judge: Judge) -> None:
    mart = "analytics_build.fct_daily_usage"
    spoil(
        dsn,
        f"update {mart} set tokens_output = tokens_output + 1 "
        "where usage_date = '2026-03-01' and user_id = 1 and source_system = 'legacy'",
        f"update {mart} set cost_recorded_usd = cost_recorded_usd + 0.00000001 "
        "where usage_date = '2026-03-05' and user_id = 2 and source_system = 'legacy'",
        f"delete from {mart} where usage_date = '2026-03-02'",
        f"create temp table twice as select * from {mart} "
        "where usage_date = '2026-03-03' and user_id = 1 and source_system = 'legacy'",
        "update twice set usage_key = 'twice'",
        f"insert into {mart} select * from twice",
        "update twice set usage_key = 'tomorrow', usage_date = '2026-03-06'",
        f"insert into {mart} select * from twice",
        f"update {mart} set tokens_cached = -5, errors = 99, requests_cost_unknown = 1, "
        "cost_estimated_usd = 'NaN', llm_model = null "
        "where usage_date = '2026-03-04' and user_id = 2 and source_system = 'legacy'",
        f"update {mart} set blocked = -1, cost_recomputed_usd = null "
        "where usage_date = '2026-03-04' and user_id = 1 and source_system = 'legacy'",
    )

    verdict = judge(dsn)
    failed = said(verdict, "daily_usage")

    assert not verdict.passed
    sums = failed["Each day's sums equal the control totals, to the last digit"]
    assert "usage_date 2026-03-01, figure tokens_output, in_figures 781, in_control 780" in sums
    figures = {
        (row["usage_date"], row["figure"])
        for result in verdict.failures
        if "control totals, to" in result.expectation
        for row in result.sample
    }
    assert ("2026-03-05", "cost_recorded_usd") in figures
    days = failed["Figures and control totals have the same days"]
    assert "usage_date 2026-03-02, missing_in figures" in days
    assert "usage_date 2026-03-06, missing_in control" in days
    assert "2026-03-03, user_id 1" in failed["Each day, user, model and source has one row"]
    assert "usage_date 2026-03-06" in failed["No day lies in the future"]
    assert "figure tokens_cached, value -5" in failed["No token figure is below zero"]
    assert "figure blocked, value -1" in failed["No count is below zero"]
    assert "figure errors, value 99" in failed["No part of the requests exceeds them"]
    assert "figure cost_estimated_usd, value NaN" in failed["Each cost is a number from zero up"]
    assert "2026-03-04" in failed["The ways in which cost is known add up to the requests"]
    assert "user_id 1" in failed["Each way in which cost is known has its cost"]
    assert "user_id 1" in failed["Where a price is, the cost is there"]
    assert "llm_model missing" in failed["llm_model is never missing"]
    # Nothing else is blamed, and but for those of the same cost the other suites are content.
    assert len(failed) == 15
    assert {result.suite for result in verdict.failures} == {
        "daily_usage",
        "daily_mcp_cost",
        "bill_focus",
    }


def test_wrong_daily_tool_usage_is_refused(dsn: Dsn, judge: Judge) -> None:
    mart = "analytics_build.fct_daily_tool_usage"
    spoil(
        dsn,
        f"update {mart} set calls = calls + 1 "
        "where usage_date = '2026-03-01' and mcp_server = 'files'",
        f"delete from {mart} where usage_date = '2026-03-02'",
        f"create temp table twice as select * from {mart} "
        "where usage_date = '2026-03-03' and mcp_server = 'files'",
        "update twice set tool_usage_key = 'twice', calls = 0, errors = 0, users = 0",
        f"insert into {mart} select * from twice",
        "update twice set tool_usage_key = 'tomorrow', usage_date = '2026-03-06'",
        f"insert into {mart} select * from twice",
        f"update {mart} set blocked = -1, errors = 99, p50_duration_ms = 1e6, built_at = null "
        "where usage_date = '2026-03-04' and mcp_server = 'files'",
    )

    verdict = judge(dsn)
    failed = said(verdict, "daily_tool_usage")

    assert not verdict.passed
    calls = failed["Each day has the tool calls that the ledger has"]
    assert "usage_date 2026-03-01, calls 7, calls_in_ledger 6" in calls
    assert "usage_date 2026-03-02, calls missing, calls_in_ledger 6" in calls
    assert "2026-03-03, mcp_server files" in failed["Each day, server and tool has one row"]
    assert "usage_date 2026-03-06" in failed["No day lies in the future"]
    assert "blocked -1" in failed["blocked is at least 0"]
    assert "figure errors, value 99" in failed["No part of the calls exceeds them"]
    assert "2026-03-04" in failed["The median lasts from zero to the 95th percentile"]
    assert "2026-03-04" in failed["built_at is never missing"]
    assert len(failed) == 8
    assert {result.suite for result in verdict.failures} == {"daily_tool_usage"}


def test_wrong_daily_mcp_cost_is_refused(dsn: Dsn, judge: Judge) -> None:
    mart = "analytics_build.fct_daily_mcp_cost"
    spoil(
        dsn,
        f"update {mart} set cost_recomputed_usd = cost_recomputed_usd + 0.000000000001 "
        "where usage_date = '2026-03-01' and mcp_server = 'search' and llm_model = 'haiku'",
        f"delete from {mart} where usage_date = '2026-03-02'",
        f"create temp table twice as select * from {mart} "
        "where usage_date = '2026-03-03' and mcp_server = 'files' and llm_model = 'haiku'",
        "update twice set mcp_cost_key = 'twice', tokens_total = 0, cost_usd = 0, "
        "cost_recorded_usd = 0, cost_recomputed_usd = 0",
        f"insert into {mart} select * from twice",
        "update twice set mcp_cost_key = 'tomorrow', usage_date = '2026-03-06'",
        f"insert into {mart} select * from twice",
        f"update {mart} set cost_recorded_usd = 'NaN', calls = 0, mcp_server = null "
        "where usage_date = '2026-03-04' and mcp_server = 'files' and llm_model = 'haiku'",
        f"update {mart} set requests_shared = 1 "
        "where usage_date = '2026-03-05' and is_no_server and llm_model = 'haiku'",
        # Usage of a day that somebody writes to meanwhile may be another by rights.
        f"update {mart} set cost_usd = cost_usd + 1 where usage_date = '2026-03-05'",
        "insert into omni2.audit_logs (id, timestamp, success) "
        "values (999, '2026-03-05 10:00+00', true)",
    )

    verdict = judge(dsn)
    failed = said(verdict, "daily_mcp_cost")

    assert not verdict.passed
    sums = failed["Each day's and model's sums equal the daily usage's, to the last digit"]
    assert "usage_date 2026-03-01, llm_model haiku, figure cost_recomputed_usd" in sums
    assert "usage_date 2026-03-02" in sums
    assert "2026-03-05" not in sums
    assert "2026-03-03, is_no_server False" in failed["Each day, server and model has one row"]
    assert "usage_date 2026-03-06" in failed["No day lies in the future"]
    assert "value NaN" in failed["Each figure is a number from zero up"]
    agree = failed["Requests, calls and what is known of the cost agree"]
    assert "2026-03-04" in agree
    assert "2026-03-05, mcp_server no server" in agree
    assert "2026-03-04" in failed["mcp_server is never missing"]
    shares = failed["Each day, server and model has its share of what the ledger has"]
    assert "2026-03-02" in shares
    assert "2026-03-05" not in shares
    assert len(failed) == 7
    assert {result.suite for result in verdict.failures} == {"daily_mcp_cost"}


def test_wrong_daily_health_is_refused(dsn: Dsn, judge: Judge) -> None:
    mart = "analytics_build.fct_daily_health"
    spoil(
        dsn,
        f"update {mart} set up_seconds = up_seconds + 1 "
        "where health_date = '2026-03-01' and mcp_server_id = 1",
        f"update {mart} set day_seconds = 90000, unknown_seconds = unknown_seconds + 3600 "
        "where health_date = '2026-03-01' and mcp_server_id = 2",
        f"delete from {mart} where health_date in ('2026-03-02', '2026-03-03') "
        "and mcp_server_id = 1",
        f"create temp table twice as select * from {mart} "
        "where health_date = '2026-03-03' and mcp_server_id = 2",
        "update twice set health_key = 'twice'",
        f"insert into {mart} select * from twice",
        "update twice set health_key = 'tomorrow', health_date = '2026-03-06'",
        f"insert into {mart} select * from twice",
        f"update {mart} set uptime_share = 1.2, incidents = -1, checks_up = 13, "
        "p50_response_ms = 50, built_xmin = null, error_budget_left_share = 1.5 "
        "where health_date = '2026-03-04' and mcp_server_id = 2",
        f"update {mart} set checks_unknown_word = 1, responses_impossible = 1, responses = 11 "
        "where health_date = '2026-03-04' and mcp_server_id = 1",
        "update omni2.mcp_health_log set status = 'odd' where id = 94",
        "update analytics_build.dim_mcp_servers set mcp_server_id = 3 where mcp_server_id = 2",
    )

    verdict = judge(dsn)
    failed = said(verdict, "daily_health")

    assert not verdict.passed
    assert "2026-03-01, mcp_server_id 1" in failed["Up, down, unknown and disabled make up the day"]
    assert (
        "day_seconds 90000, length_of_day 86400"
        in failed["No day has more seconds than it is long"]
    )
    missing = failed["No day is missing between a server's first and last"]
    assert "first_missing 2026-03-02, last_missing 2026-03-03" in missing
    assert "2026-03-03, mcp_server_id 2" in failed["Each day and server has one row"]
    assert "health_date 2026-03-06" in failed["No day lies in the future"]
    begins = failed["A day begins in a state that it has, and down with an outage"]
    assert "health_date 2026-03-06" in begins
    assert "uptime_share 1.2" in failed["uptime_share is between 0 and 1"]
    assert "error_budget_left_share 1.5" in failed["error_budget_left_share is at most 1"]
    assert "uptime_share 1.2" in failed["Shares agree with their seconds"]
    assert "figure incidents, value -1" in failed["No figure is below zero"]
    assert "checks_up 13" in failed["Kinds of checks make up the checks"]
    assert "p50_response_ms 50" in failed["Response percentiles are in order"]
    assert "built_xmin missing" in failed["built_xmin is never missing"]
    assert "incidents -1, outages 1" in failed["Outages agree with the time down and the budget"]
    # Warnings.
    assert "responses_impossible 1" in failed["Every response time can be"]
    words = failed["Every status word of the health log is known"]
    assert "checks_unknown_word 1, words_of_the_day healthy, odd" in words
    assert "mcp_server_id 2" in failed["Every server has a name"]
    assert len(verdict.warnings) == 3
    assert len(failed) == 17
    assert {result.suite for result in verdict.failures} == {
        "daily_health",
        "hourly_health",
        "incidents",
        "dim_mcp_servers",
    }


def test_wrong_incidents_and_hours_are_refused(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        "update analytics_build.fct_incidents set closed_at = null, ended_as = null "
        "where opened_date = '2026-03-02' and mcp_server_id = 1",
        "update analytics_build.fct_incidents set down_seconds = 7201 "
        "where opened_date = '2026-03-03' and mcp_server_id = 2",
        "update analytics_build.fct_hourly_health set up_seconds = up_seconds - 1 "
        "where hour_at = '2026-03-04 12:00+00' and mcp_server_id = 1",
    )

    verdict = judge(dsn)

    assert {result.suite for result in verdict.failures} == {"incidents", "hourly_health"}
    incidents, hours = said(verdict, "incidents"), said(verdict, "hourly_health")
    assert "down_seconds 7201" in incidents["An incident ends after it begins"]
    assert "2026-03-02" in incidents["A server has one incident at a time"]
    assert "down_seconds 36001" in incidents["Incidents are the outages of the days"]
    assert "up_seconds 3599" in hours["Up, down, unknown and disabled make up the hour"]
    assert "up_seconds_of_hours 75599" in hours["Hours make up the day"]


def test_events_that_are_set_aside_warn_and_stop_nothing(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        "insert into omni2.mcp_health_log (id, mcp_server_id, timestamp, status) values "
        "(201, 1, '2026-03-05 18:05+00', 'healthy'), (202, 1, '2026-03-05 18:05:01+00', 'healthy'),"
        " (203, 1, 'infinity', 'healthy'), (204, 2, '1970-01-01 00:00+00', 'healthy'),"
        " (205, 2, null, 'healthy'), (206, null, '2026-03-05 12:00+00', repeat('x', 20))",
        "update analytics_build.dim_mcp_servers set mcp_server_name = 'twin', "
        "checks_verdict = 'silent'",
        "insert into analytics_build.dim_mcp_servers (mcp_server_id, check_interval_seconds, "
        "longest_hold_seconds, checks_verdict, built_xmin, built_at) "
        "values (8, 300, 900, 'deleted', 1, '2026-03-05 18:00+00'), "
        "(9, 300, 900, 'never checked', 1, '2026-03-05 18:00+00')",
    )

    verdict = judge(dsn)

    assert verdict.passed
    log, servers = said(verdict, "mcp_health_log"), said(verdict, "dim_mcp_servers")
    assert "2 rows break it (id 203" in log["No health event is dated later than now"]
    assert "id 204" in log["No health event is dated before 2000"]
    assert "id 205" in log["Every health event has a time"]
    assert "id 206" in log["Every health event names a server"]
    assert "1 row breaks it (mcp_server_id 9" in servers["Every server has a name"]
    assert "mcp_server_name twin, servers 2" in servers["No two servers have one name"]
    assert "checks_verdict silent" in servers["Every server is checked"]


def test_wrong_dimensions_are_refused(dsn: Dsn, judge: Judge) -> None:
    spoil(
        dsn,
        "alter table analytics_build.dim_users drop constraint dim_users_pkey",
        "alter table analytics_build.dim_users alter column user_id drop not null",
        "insert into analytics_build.dim_users (user_id) values (null), (1)",
        "update analytics_build.dim_mcp_servers set last_event_at = '2026-01-01' "
        "where mcp_server_id = 2",
    )

    verdict = judge(dsn)

    assert not verdict.passed
    users = said(verdict, "dim_users")
    assert set(users) == {
        "user_id is there once only",
        "user_id is never missing",
        "email is never missing",
    }
    assert "user_id 1, rows 2" in users["user_id is there once only"]
    assert (
        "mcp_server_id 2"
        in said(verdict, "dim_mcp_servers")["A server's last event is not before its first"]
    )


HOSTILE = "<script>alert(1)</script>"


def test_odd_raw_rows_warn_and_stop_nothing(dsn: Dsn, judge: Judge, tmp_path: Path) -> None:
    mart = "analytics_build.fct_daily_usage"
    spoil(
        dsn,
        "update omni2.audit_logs set tokens_output = -3 where id = 1",
        "update omni2.audit_logs set cost_usd = 'NaN' where id = 2",
        "update omni2.audit_logs set llm_tokens_used = 1 where id = 3",
        # Some writers leave cached tokens out of their total, and are right to.
        "update omni2.audit_logs set tokens_cached = 50 where id = 4",
        f"update omni2.audit_logs set status = '{HOSTILE}' where id = 5",
        "update omni2.audit_logs set llm_model = null where id in (14, 16)",
        "update omni2.audit_logs set legacy_user_id = 77, user_id = null where id = 6",
        # A trigger notes who wrote last, and that was after the build.
        "update omni2.audit_logs set change_xid = 1000000000000 where id <= 6 or id in (16, 30)",
        "insert into ledger.audit_quarantine (legacy_id, reason, row) "
        "select n, 'it has no time', '{}' from generate_series(1, 30) as n",
        f"update {mart} set requests_cost_computed = requests_cost_computed - 1, "
        "requests_cost_unknown = 1, requests_impossible = 1, requests_model_assumed = 2 "
        "where usage_date = '2026-03-02' and user_id = 1 and source_system = 'legacy' "
        "and requests_cost_computed > 0",
        f"update {mart} set user_id = null where usage_date = '2026-03-03' and user_id = 2 "
        "and requests > 0",
        "update analytics_build.fct_focus set x_user_id = null where usage_date = '2026-03-03' "
        "and x_user_id = 2",
    )

    verdict = judge(dsn)

    assert verdict.passed
    assert verdict.failures == ()
    usage = said(verdict, "daily_usage")
    assert set(usage) == {
        "The cost of every request is known",
        "No request has an impossible figure",
        "The model of every request is known",
        "The user of every request is known",
    }
    raw = said(verdict, "audit_logs")
    assert (
        "id 1, source_system legacy, legacy_id 1, figure tokens_output, value -3"
        in raw["No figure is impossible"]
    )
    assert "figure cost_usd, value NaN" in raw["No figure is impossible"]
    totals = raw["A recorded total is the sum of its split, with or without cached tokens"]
    assert "1 row breaks it (id 3" in totals
    assert f"word {HOSTILE}, rows 1, first_id 5" in raw["Every status word is known"]
    assert "legacy_user_id 77" in raw["Every user of the old log is known to the gateway"]
    assert len(raw) == 4
    [quarantined] = [r for r in verdict.warnings if r.suite == "audit_quarantine"]
    assert quarantined.unexpected_count == 30
    assert len(quarantined.sample) == 20

    pages = "".join(p.read_text() for p in (tmp_path / "site").rglob("*.html"))
    assert "&lt;script&gt;alert(1)" in pages
    assert "<script" not in pages


def test_only_days_to_be_published_are_read_from_the_ledger(dsn: Dsn, judge: Judge) -> None:
    assert judge(dsn, RUN).passed
    with connect(dsn) as connection:
        publish(connection, RUN)
    spoil(
        dsn,
        "update omni2.audit_logs set status = 'odd', change_xid = 0 where id in (1, 50)",
        "update analytics_build.fct_daily_usage set built_xmin = built_xmin + 1 "
        "where usage_date = '2026-03-05'",
        # The ledger goes on: a call since the build is in no figure yet, and none is missing.
        "insert into omni2.audit_logs (id, timestamp, tool_called, success) "
        "values (900, '2026-03-05 17:00+00', 'read', true)",
        # A call that went since is still in the figures, and none is invented.
        "delete from omni2.audit_logs where id = 128",
        "insert into ledger.deleted_days (source_table, period_start) "
        "values ('audit_logs', '2026-03-05 13:00+00')",
    )

    verdict = judge(dsn)

    assert verdict.passed
    assert said(verdict, "audit_logs") == {
        "Every status word is known": '"Every status word is known" in audit_logs, but 1 row '
        "breaks it (word odd, rows 1, first_id 50, last_id 50)"
    }


def test_rule_that_cannot_be_asked_stops_the_run(dsn: Dsn, judge: Judge) -> None:
    spoil(dsn, "alter table analytics_build.control_totals drop column requests")

    with pytest.raises(NotReadyError, match=r"sums equal the control totals.*control\.requests"):
        judge(dsn)

    assert ask(dsn, "select count(*) from ledger.gate_results") == [(0,)]


def test_marts_that_were_not_built_cannot_be_judged(dsn: Dsn, judge: Judge) -> None:
    spoil(dsn, "drop table analytics_build.dim_users")

    with pytest.raises(NotReadyError, match=r"analytics_build\.dim_users isn't there yet"):
        judge(dsn)
