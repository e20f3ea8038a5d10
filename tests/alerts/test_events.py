"""What is wrong now, as real databases have it: quotas, outages, silence, the bill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from typing import Any

import pytest
from pydantic import SecretStr

from omniledger.alerts import events
from omniledger.alerts.events import now_wrong
from omniledger.alerts.record import Event
from omniledger.alerts.watching import look
from omniledger.database import Dsn, connect
from omniledger.settings import Settings
from tests.alerts.test_alerts import Receiver, receiver
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger

__all__ = ["receiver"]

BILL = """
    create schema if not exists analytics;
    create table analytics.fct_bill_reconciliation (
        bill_date date, billed_usd numeric, ledger_usd numeric, difference_usd numeric
    )
"""

QUOTA = """
    create schema if not exists analytics;
    create table analytics.fct_daily_quota as
    select
        date '2026-07-01' as usage_date,
        user_id,
        sum(cost_usd) as cost_used_usd,
        10.00 as cost_limit_usd,
        sum(cost_usd) - 10 as overspend_usd,
        sum(cost_usd) >= 10 as is_exceeded
    from omni2.audit_logs
    where timestamp >= '2026-07-01 00:00+00' and user_id is not null
    group by user_id
"""


@pytest.fixture
def dsn(server: Server) -> Iterator[Dsn]:
    """An upgraded gateway at noon, with no server that anybody should check."""
    dsn = server.state("investigation:upgraded")
    ask(dsn, "delete from omni2.mcp_health_log; delete from omni2.mcp_servers")
    clock_at(dsn, "2026-07-01 12:00+00")
    yield dsn


def clock_at(dsn: Dsn, at: str) -> None:
    ask(
        dsn,
        "insert into ledger.settings (name, value) values ('as_of', %s)"
        " on conflict (name) do update set value = excluded.value",
        at,
    )


def wrong(dsn: Dsn, kind: str, **settings: Any) -> list[Event]:
    with connect(dsn) as connection:
        found, seen = now_wrong(connection, Settings(**settings))
    assert kind in seen
    return [event for event in found if event.kind == kind]


def spend(dsn: Dsn, user: int, cost: float, at: str = "2026-07-01 09:00+00") -> None:
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success, cost_usd)"
        " values (%s, %s, 'q', true, %s)",
        user,
        at,
        cost,
    )


def event_at(dsn: Dsn, at: str, status: str, error: str | None = None) -> None:
    ask(dsn, "insert into omni2.mcp_servers (id, name) values (9, 'nine') on conflict do nothing")
    ask(
        dsn,
        "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type,"
        " error_message) values (9, %s, %s, 'health_check', %s)",
        at,
        status,
        error,
    )


def test_a_user_who_used_up_the_day_is_an_event_of_that_day(dsn: Dsn) -> None:
    spend(dsn, 2, 9.99)
    spend(dsn, 3, 50, at="2026-06-30 23:59+00")
    assert wrong(dsn, "quota") == []
    spend(dsn, 2, 0.01)
    assert wrong(dsn, "quota") == [
        Event("quota", "2 2026-07-01", "Ada@Example.com has used $10.00 of $10.00 on 2026-07-01")
    ]


def test_a_used_up_day_is_told_and_its_end_is_not(dsn: Dsn, receiver: Receiver) -> None:
    def looks() -> None:
        with connect(dsn) as connection:
            look(connection, Settings(alerts=(receiver.url,)))

    spend(dsn, 2, 10)
    looks()
    clock_at(dsn, "2026-07-02 00:01+00")
    looks()
    [message] = receiver.messages
    assert "Ada@Example.com has used $10.00" in message["message"]
    assert ask(dsn, "select resolved_at is not null, end_told_at from ledger.alerts") == [
        (True, None)
    ]
    spend(dsn, 2, 10, at="2026-07-02 00:00+00")
    looks()
    assert len(receiver.messages) == 2


def test_a_day_used_up_after_its_last_look_is_told_once_its_figures_are_there(
    dsn: Dsn, receiver: Receiver
) -> None:
    def looks() -> None:
        with connect(dsn) as connection:
            look(connection, Settings(alerts=(receiver.url,)))

    spend(dsn, 2, 10)
    looks()
    spend(dsn, 3, 10, at="2026-07-01 23:59+00")
    clock_at(dsn, "2026-07-02 00:01+00")
    looks()
    assert len(receiver.messages) == 1
    ask(dsn, QUOTA)
    looks()
    looks()
    clock_at(dsn, "2026-07-03 00:01+00")
    looks()
    assert [message["message"] for message in receiver.messages[1:]] == [
        "Now: bob@example.com has used $10.00 of $10.00 on 2026-07-01."
    ]


def test_a_day_used_up_in_the_quiet_hours_is_told_after_them(dsn: Dsn, receiver: Receiver) -> None:
    def looks(**settings: Any) -> None:
        with connect(dsn) as connection:
            look(connection, Settings(alerts=(receiver.url,), **settings))

    clock_at(dsn, "2026-07-01 23:30+00")
    spend(dsn, 2, 10)
    looks(alerts_quiet=(time.min, time.max))
    clock_at(dsn, "2026-07-02 00:30+00")
    looks()
    looks()
    [message] = receiver.messages
    assert message["title"] == "omniledger: 1 new"
    assert message["message"].startswith("Now: Ada@Example.com has used $10.00")


def test_of_days_used_up_long_before_there_was_a_channel_none_is_told(
    dsn: Dsn, receiver: Receiver
) -> None:
    ask(
        dsn,
        "insert into ledger.alerts (kind, subject, sentence, opened_at, resolved_at) values"
        " ('quota', '2 2026-06-01', 'so', now() - interval '2 days', now() - interval '1 day')",
    )
    with connect(dsn) as connection:
        look(connection, Settings(alerts=(receiver.url,)))
    assert receiver.messages == []


def test_a_server_is_an_incident_until_it_is_seen_up_again(dsn: Dsn) -> None:
    event_at(dsn, "2026-07-01 11:55+00", "healthy")
    assert wrong(dsn, "incident") == []
    event_at(dsn, "2026-07-01 11:58+00", "circuit_open", "refused.")
    event_at(dsn, "2026-07-01 11:58+00", "healthy")
    [incident] = wrong(dsn, "incident")
    assert (incident.subject, incident.sentence) == ("9", "the MCP server nine is down: refused")
    clock_at(dsn, "2026-07-01 18:00+00")
    assert wrong(dsn, "incident") == [incident]
    event_at(dsn, "2026-07-01 17:59+00", "healthy")
    assert wrong(dsn, "incident") == []


def test_a_server_that_is_disabled_is_neither_down_nor_silent(dsn: Dsn) -> None:
    event_at(dsn, "2026-06-01 11:55+00", "disabled")
    assert wrong(dsn, "incident") == wrong(dsn, "silence") == []


def test_what_was_changed_by_hand_is_an_event_until_it_is_taken_back(dsn: Dsn) -> None:
    assert wrong(dsn, "by hand") == []
    change = "alter table omni2.mcp_health_log {} trigger omniledger_stamp_change"
    ask(dsn, change.format("disable"))
    [event] = wrong(dsn, "by hand")
    assert "omniledger_stamp_change of omni2.mcp_health_log is disabled" in event.sentence
    ask(dsn, change.format("enable always"))
    assert wrong(dsn, "by hand") == []


def ended(dsn: Dsn, verdict: str, ago: str) -> None:
    """Note a run that ended so, an interval ago."""
    ask(
        dsn,
        "insert into ledger.runs (run_id, verdict, reason, started_at, finished_at) values"
        " (gen_random_uuid(), %s, 'so', now() - %s::interval, now() - %s::interval)",
        *(verdict, ago, ago),
    )


def test_weekly_figures_are_not_stale_for_two_weeks(dsn: Dsn) -> None:
    for ago in ("41 days", "34 days", "27 days", "20 days", "20 days", "13 days"):
        ended(dsn, "published", ago)
    assert wrong(dsn, "run") == []
    ask(dsn, "update ledger.runs set finished_at = finished_at - interval '25 hours'")
    assert [event.subject for event in wrong(dsn, "run")] == ["stale"]


def test_that_no_run_came_for_two_days_is_an_event_until_one_is_published(dsn: Dsn) -> None:
    ended(dsn, "published", "47 hours")
    assert wrong(dsn, "run") == []
    ask(dsn, "update ledger.runs set finished_at = finished_at - interval '2 hours'")
    [event] = wrong(dsn, "run")
    assert event.subject == "stale"
    assert event.sentence.startswith("no figures were published since ")
    # It is no less so where a later run failed, of which is told too.
    ended(dsn, "failed", "1 hour")
    assert {event.subject for event in wrong(dsn, "run")} == {"stale", "failed"}
    ask(
        dsn,
        "insert into ledger.forced_publications (run_id, why, overridden, days, rows_published)"
        " values (gen_random_uuid(), 'so', '[]', '{}', 1)",
    )
    assert {event.subject for event in wrong(dsn, "run")} == {"failed"}
    ended(dsn, "published", "1 minute")
    assert wrong(dsn, "run") == []


def test_a_runner_is_told_of_damage_though_it_may_not_see_all(dsn: Dsn) -> None:
    ask(dsn, "revoke all on all sequences in schema omni2 from omniledger_runner")
    runner = f"runner_{dsn.dbname}"
    ask(dsn, f"create role {runner} login password '{dsn.password}' in role omniledger_runner")
    try:
        theirs = replace(dsn, user=runner)
        assert wrong(theirs, "by hand") == []
        ask(dsn, "alter table omni2.audit_logs disable trigger omniledger_stamp_change")
        [event] = wrong(theirs, "by hand")
        assert "omniledger_stamp_change" in event.sentence
    finally:
        ask(dsn, f"drop role {runner}")


def test_checks_that_stopped_are_silence(dsn: Dsn) -> None:
    event_at(dsn, "2026-07-01 11:50+00", "healthy")
    assert wrong(dsn, "silence") == []
    clock_at(dsn, "2026-07-01 12:06+00")
    [silence] = wrong(dsn, "silence")
    assert silence.subject == "9"
    assert silence.sentence.startswith("nobody checks the MCP server nine (last 2026-07-01 11:50")


def test_checks_dated_in_the_future_alone_are_told_as_that(dsn: Dsn) -> None:
    event_at(dsn, "2026-07-01 14:00+00", "healthy")
    [silence] = wrong(dsn, "silence")
    assert silence.sentence == (
        "nobody checks the MCP server nine (events dated in the future hide its last check)"
    )


def test_an_alert_is_one_line_of_the_list_however_many_its_error_has(dsn: Dsn) -> None:
    event_at(dsn, "2026-07-01 11:55+00", "error", "Traceback:\n  it broke\nall is well")
    with connect(dsn) as connection:
        look(connection, Settings())
    [line] = omniledger(dsn, "alerts", "list").output.splitlines()
    assert "the MCP server nine is down: Traceback:   it broke all is well (not told" in line


def test_a_password_at_the_end_of_what_is_told_of_an_error_is_not_told(dsn: Dsn) -> None:
    error = f"{'e' * 480} https://me:{'tell-nobody-' * 9}@host"
    event_at(dsn, "2026-07-01 11:55+00", "error", error)
    [down] = wrong(dsn, "incident")
    assert down.sentence.endswith("e https://me:***@host")


def test_a_bill_that_differs_by_more_than_the_tolerance_is_an_event_of_its_day(dsn: Dsn) -> None:
    ask(dsn, BILL)
    ask(
        dsn,
        "insert into analytics.fct_bill_reconciliation values"
        " ('2026-06-30', 60, 59.5, 0.5), ('2026-06-30', 40, 39.5, 0.5),"
        " ('2026-06-29', 100, 98.8999, 1.1001), ('2026-06-28', 10, null, null),"
        " ('2026-06-27', -12.5, 0.0001, -12.5001), ('2026-05-01', 100, 1, 99)",
    )
    assert [(event.subject, event.sentence) for event in wrong(dsn, "bill")] == [
        ("2026-06-27", "the bill of 2026-06-27 is -$12.50, and the ledger says $0.0001"),
        ("2026-06-29", "the bill of 2026-06-29 is $100.00, and the ledger says $98.8999"),
    ]


def test_what_nobody_knows_the_charge_of_hides_no_difference(dsn: Dsn) -> None:
    ask(dsn, BILL)
    ask(
        dsn,
        "insert into analytics.fct_bill_reconciliation values"
        " ('2026-06-30', 12, 10, 2), ('2026-06-30', null, 1000, null)",
    )
    assert wrong(dsn, "bill") == [
        Event("bill", "2026-06-30", "the bill of 2026-06-30 is $12.00, and the ledger says $10.00")
    ]


def test_old_rows_that_no_removal_took_are_an_event_until_one_did(dsn: Dsn) -> None:
    def staying() -> list[str]:
        return [event.sentence for event in wrong(dsn, "raw rows", raw_keep_days=10)]

    def removed(before: str, finished_at: str | None) -> None:
        ask(
            dsn,
            "insert into ledger.prunings (before_date, before_at, built_xmin, finished_at)"
            " values (%s, %s, 0, %s)",
            before,
            before,
            finished_at,
        )

    ask(dsn, "delete from omni2.audit_logs")
    # Of a server that fell silent; the night for these days is still to come.
    spend(dsn, 2, 1, at="2026-06-20 00:00+00")
    event_at(dsn, "2026-06-20 00:00+00", "healthy")
    assert staying() == []
    event_at(dsn, "2026-06-19 23:59+00", "healthy")
    assert wrong(dsn, "raw rows") == []
    [said] = staying()
    assert said.startswith("old raw rows, from 2026-06-19 on, were not removed; `omniledger prune`")
    spend(dsn, 2, 1, at="2026-06-18 12:00+00")
    assert "from 2026-06-18 on" in staying()[0]
    removed("2026-06-20", None)
    assert "from 2026-06-18 on" in staying()[0]
    # What a removal that has ended left is there for good, and what came late.
    removed("2026-06-20", "2026-06-30 04:00+00")
    assert staying() == []


def test_a_revision_that_is_lost_is_drift(dsn: Dsn) -> None:
    ask(dsn, "delete from ledger.alembic_version")
    [event] = wrong(dsn, "drift")
    assert event.sentence.startswith("the revision is lost")


def test_what_is_not_there_yet_is_not_asked_for_and_nothing_is_over(server: Server) -> None:
    with connect(server.state("empty")) as connection:
        found, seen = now_wrong(connection, Settings(raw_keep_days=400))
    assert [event.kind for event in found] == ["drift"]
    assert seen == {"drift"}


def test_what_takes_long_is_not_asked_for_and_the_next_kinds_are(
    dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "TIMEOUT_MS", 50)
    ask(
        dsn,
        "create or replace function ledger.day_starts_at(day date, zone text)"
        " returns timestamptz language sql as"
        " $$ select now() from pg_sleep(5) $$",
    )
    spend(dsn, 2, 10)
    event_at(dsn, "2026-07-01 11:58+00", "timeout")
    with connect(dsn) as connection:
        found, seen = now_wrong(connection, Settings(alerts=(SecretStr("json://x"),)))
        assert connection.execute("show statement_timeout").fetchone() == ("0",)
    assert "quota" not in seen
    assert "incident" in {event.kind for event in found}


def test_a_look_waits_for_no_library_of_migrations() -> None:
    """The watch begins every few minutes, and importing is most of its time."""
    probe = "import sys; import omniledger.alerts.watching; print(*sys.modules)"
    said = subprocess.run((sys.executable, "-c", probe), check=True, capture_output=True, text=True)
    assert not {"alembic", "sqlalchemy", "apprise"} & set(said.stdout.split())
