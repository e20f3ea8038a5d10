"""Health figures over days: which of them change, and that every second is accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from omniledger.database import connect
from omniledger.inspection.freshness import freshness
from omniledger.settings import Settings
from tests.conftest import ask
from tests.models.conftest import HEALTH, INCIDENTS, Marts, Prepared, event_at, request_at

FIRST, LAST = "2026-03-01", "2026-03-05"
ALL = tuple(f"2026-03-0{day}" for day in range(1, 6))


def fill(marts: Marts) -> None:
    event_at(marts, f"{FIRST} 12:00+00")
    event_at(marts, f"{FIRST} 12:03+00", "timeout")


@pytest.fixture
def filled(prepared: Prepared) -> Marts:
    return prepared.in_state("health days", fill)


def test_there_is_a_row_for_each_day_up_to_now(filled: Marts) -> None:
    assert tuple(map(str, sorted(filled.built(HEALTH)))) == ALL


def test_an_event_changes_its_day_and_those_that_it_teaches(filled: Marts) -> None:
    late = event_at(filled, "2026-03-02 23:50+00", "timeout")
    with filled.changing(HEALTH, "2026-03-02", "2026-03-03", "2026-03-04"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "delete from omni2.mcp_health_log where id = %s", late)
    with filled.changing(HEALTH, "2026-03-02", "2026-03-03", "2026-03-04"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_an_outage_over_midnight_is_one_incident(filled: Marts) -> None:
    for minute in range(-10, 11, 5):
        at = datetime(2026, 3, 3, tzinfo=UTC) + timedelta(minutes=minute)
        event_at(filled, at.isoformat(), "unhealthy")
    filled.run(HEALTH)
    rows = ask(
        filled.dsn,
        "select incidents, down_seconds, longest_outage_seconds"
        " from analytics_build.fct_daily_health"
        " where health_date between '2026-03-02' and '2026-03-03' order by health_date",
    )
    assert rows == [(1, 600, 600), (0, 1500, 1500)]


def test_an_outage_ends_where_its_day_says_whatever_the_next_one_learns(marts: Marts) -> None:
    """Hourly checks: the first evening doesn't know that yet, the next day does."""
    first = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
    for hour in range(12):
        event_at(marts, (first + timedelta(hours=hour)).isoformat(), "unhealthy")
    marts.run(HEALTH)
    rows = ask(
        marts.dsn,
        "select check_interval_seconds, incidents, down_seconds from analytics_build."
        "fct_daily_health where health_date between '2026-03-02' and '2026-03-03' order by 1",
    )
    assert rows == [(300, 4, 3600), (3600, 1, 10 * 3600)]
    opened, last_down, down = ask(
        marts.dsn,
        "select array_agg(to_char(opened_at at time zone 'UTC', 'DD HH24:MI') order by opened_at),"
        " array_agg(to_char(last_down_at at time zone 'UTC', 'DD HH24:MI') order by opened_at),"
        " array_agg(down_seconds order by opened_at) from analytics_build.fct_incidents",
    )[0]
    assert opened == ["02 20:30", "02 21:30", "02 22:30", "02 23:30", "03 00:30"]
    assert last_down == ["02 20:45", "02 21:45", "02 22:45", "02 23:45", "03 10:30"]
    assert down == [900, 900, 900, 900, 36000]


def test_a_day_that_learns_another_interval_changes_the_next_two(marts: Marts) -> None:
    for hour in range(4):
        event_at(marts, f"2026-03-02 {20 + hour}:30+00", "unhealthy")
    event_at(marts, "2026-03-04 12:00+00", "healthy")
    marts.run(HEALTH)
    event_at(marts, "2026-03-01 12:00+00", "healthy")
    for hour in range(3):
        event_at(marts, f"2026-03-01 {20 + hour}:30+00", "healthy")
    marts.run(HEALTH)
    marts.assert_as_if_built_anew()
    [(seconds,)] = ask(
        marts.dsn,
        "select down_seconds from analytics_build.fct_daily_health"
        " where health_date = '2026-03-03'",
    )
    assert seconds == 3 * 3600 - 1800


def test_a_server_that_comes_or_goes_changes_every_day(filled: Marts) -> None:
    ask(filled.dsn, "insert into omni2.mcp_servers (id, name) values (9, 'new')")
    with filled.changing(HEALTH, *ALL):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    ask(filled.dsn, "delete from omni2.mcp_servers where id = 9")
    with filled.changing(HEALTH, *ALL):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_of_a_server_that_was_deleted_no_time_is_unknown_for_ever(filled: Marts) -> None:
    """Where the gateway keeps its log; its outage ended, as far as anybody knows."""
    ask(
        filled.dsn,
        "alter table omni2.mcp_health_log drop constraint mcp_health_log_mcp_server_id_fkey;"
        "delete from omni2.mcp_servers",
    )
    with filled.changing(HEALTH, "2026-03-03", "2026-03-04", LAST):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    assert sorted({str(row["health_date"]) for row in filled.figures(HEALTH)}) == [
        FIRST,
        "2026-03-02",
    ]
    [incident] = filled.figures(INCIDENTS)
    assert incident["ended_as"] == "unknown"


def test_another_name_changes_no_day(filled: Marts) -> None:
    ask(filled.dsn, "update omni2.mcp_servers set name = 'renamed'")
    with filled.changing(HEALTH):
        filled.run(HEALTH)
    names = "select mcp_server_name from analytics_build.dim_mcp_servers"
    assert ask(filled.dsn, names) == [("renamed",)]


def test_an_event_before_the_first_adds_the_days_between(filled: Marts) -> None:
    event_at(filled, "2026-02-26 12:00+00")
    with filled.changing(HEALTH, "2026-02-26", "2026-02-27", "2026-02-28", FIRST):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_the_last_day_grows_with_the_clock(filled: Marts) -> None:
    event_at(filled, "2026-03-06 07:00+00", "disabled")
    filled.run(HEALTH)
    ask(filled.dsn, "update ledger.settings set value = '2026-03-06 08:00:00+00'")
    with filled.changing(HEALTH, "2026-03-06"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()
    [row] = [r for r in filled.figures(HEALTH) if str(r["health_date"]) == "2026-03-06"]
    assert (row["day_seconds"], row["disabled_seconds"], row["checks"]) == (8 * 3600, 900, 1)
    ask(filled.dsn, "update ledger.settings set value = '2026-03-04 08:00:00+00'")
    with filled.changing(HEALTH, "2026-03-04", "2026-03-05", "2026-03-06"):
        filled.run(HEALTH)
    filled.assert_as_if_built_anew()


def test_odd_rows_stop_nothing(marts: Marts) -> None:
    """No server, no time, a time to come, one long ago, a megabyte of text, an absurd response."""
    ask(
        marts.dsn,
        "alter table omni2.mcp_health_log alter mcp_server_id drop not null,"
        " alter timestamp drop not null",
    )
    event_at(marts, f"{FIRST} 12:00+00", "healthy", response_time_ms=40)
    for at in ("2099-01-01 00:00+00", "infinity", "1970-01-01 00:00+00", None):
        event_at(marts, at)  # type: ignore[arg-type]
    event_at(marts, f"{FIRST} 12:01+00", "x" * 20, error_message="e" * 1_000_000)
    event_at(marts, f"{FIRST} 12:02+00", "healthy", response_time_ms=2_147_483_647)
    event_at(marts, f"{FIRST} 12:03+00", "healthy", response_time_ms=-5)
    ask(
        marts.dsn,
        "insert into omni2.mcp_health_log (timestamp, status) values (%s, 'healthy')",
        f"{FIRST} 13:00+00",
    )
    marts.run(HEALTH)
    marts.assert_as_if_built_anew()
    assert tuple(map(str, sorted(marts.built(HEALTH)))) == ALL
    [first] = [r for r in marts.figures(HEALTH) if str(r["health_date"]) == FIRST]
    assert (first["checks"], first["checks_unknown_word"], first["responses"]) == (4, 1, 1)
    assert (first["responses_impossible"], first["p99_response_ms"]) == (2, 40)
    [incident] = marts.figures(INCIDENTS)
    assert (incident["down_seconds"], incident["ended_as"]) == (60, "up")
    assert incident["first_error"] == "e" * 500


def test_a_password_at_the_end_of_what_is_kept_of_an_error_is_not_in_it(marts: Marts) -> None:
    error = f"{'e' * 480} https://me:{'tell-nobody-' * 9}@host"
    event_at(marts, f"{FIRST} 12:00+00", "unhealthy", error_message=error)
    marts.run(HEALTH)
    [incident] = marts.figures(INCIDENTS)
    assert incident["first_error"] == f"{error[:492]}***@host"[:500]


def test_a_late_event_closes_the_incident_of_the_day_before(marts: Marts) -> None:
    for minute in range(-10, 1435, 5):
        at = datetime(2026, 3, 5, tzinfo=UTC) + timedelta(minutes=minute)
        event_at(marts, at.isoformat(), "unhealthy", error_message="refused")
    event_at(marts, "2026-03-05 23:55+00", "unhealthy", error_message="reset")
    marts.run(HEALTH)
    [open_one] = marts.figures(INCIDENTS)
    assert (str(open_one["opened_date"]), open_one["closed_at"]) == ("2026-03-04", None)
    assert (open_one["down_seconds"], open_one["checks"]) == (87000, 290)
    assert (open_one["first_error"], open_one["last_error"]) == ("refused", "reset")
    event_at(marts, "2026-03-04 23:56+00", "healthy")
    with (
        marts.changing(HEALTH, "2026-03-04", "2026-03-05"),
        marts.changing(INCIDENTS, "2026-03-04", "2026-03-05"),
    ):
        marts.run(HEALTH)
    marts.assert_as_if_built_anew()
    first, second = sorted(marts.figures(INCIDENTS), key=lambda r: r["opened_at"])
    assert (first["down_seconds"], first["ended_as"]) == (360, "up")
    assert (str(second["opened_date"]), second["closed_at"]) == ("2026-03-05", None)


def test_inspection_and_marts_agree_on_who_is_silent(marts: Marts) -> None:
    def checked(server: int, minutes: range, status: str = "healthy") -> None:
        for minute in minutes:
            at = datetime(2026, 3, 6, tzinfo=UTC) - timedelta(minutes=minute)
            event_at(marts, at.isoformat(), status, server, event_type="health_check")

    checked(1, range(40, 400, 20))
    checked(2, range(40, 400, 40))
    checked(3, range(40, 60, 10))
    checked(4, range(500, 600, 10), "Maintenance")
    event_at(marts, "2099-01-01 00:00+00", server=3)
    ask(
        marts.dsn,
        "insert into omni2.mcp_servers (id, name) values (5, 'never');"
        "alter table omni2.mcp_servers add column health_check_interval text;"
        "insert into omni2.mcp_servers (id, name, health_check_interval)"
        " values (6, 'stated', ' 600 '), (7, 'nonsense', '5 minutes')",
    )
    checked(6, range(29, 30))
    checked(7, range(29, 30))
    checked(8, range(500, -70, -10))  # its clock is an hour ahead
    event_at(marts, "2099-01-01 00:00+00", server=9)
    checked(9, range(100, 0, -10))
    marts.dbt(marts.dsn, "run", "--select", "stg_mcp_servers", "dim_mcp_servers")
    built = ask(
        marts.dsn,
        "select mcp_server_id, check_interval_seconds, checks_verdict"
        " from analytics_build.dim_mcp_servers order by 1",
    )
    assert built == [
        (1, 1200, "running"),
        (2, 2400, "running"),
        (3, 300, "silent"),
        (4, 600, "disabled"),
        (5, 300, "never checked"),
        (6, 600, "running"),
        (7, 300, "silent"),
        (8, 600, "silent"),
        (9, 600, "running"),
    ]
    with connect(marts.dsn) as connection:
        live = freshness(connection, datetime(2026, 3, 6, tzinfo=UTC), Settings())
    assert {c.server_id: c.state for c in live if c.state != "up"} == {4: "disabled", 5: None}
    assert sorted((c.server_id, c.interval_seconds, c.verdict) for c in live) == built
    hidden = "events dated in the future hide its last check"
    assert {str(c) for c in live if c.is_ahead} == {f"server {n} ({hidden})" for n in (3, 8)}


def test_events_of_the_future_make_no_log_look_fresh(marts: Marts) -> None:
    """One alone, or all those of a clock that runs ahead; what is noted after them counts again."""

    def noted(*minutes_ago: int, server: int = 1) -> None:
        for minutes in minutes_ago:
            at = datetime.now(UTC) - timedelta(minutes=minutes)
            event_at(marts, at.isoformat(), server=server)
            request_at(marts, at.isoformat())

    def fresh() -> dict[str, str]:
        results = marts.dbt(marts.dsn, "source", "freshness")
        return {r.node.name: str(r.status) for r in results if r.node.resource_type == "source"}

    noted(24 * 60 + 1, -24 * 60)
    assert fresh() == {"audit_logs": "warn", "mcp_health_log": "warn", "mcp_servers": "warn"}
    noted(*range(240, -240, -5), server=2)
    assert fresh() == {"audit_logs": "pass", "mcp_health_log": "warn", "mcp_servers": "warn"}
    noted(50)
    assert fresh() == {"audit_logs": "pass", "mcp_health_log": "pass", "mcp_servers": "warn"}


def test_one_silent_server_is_seen_behind_any_number_of_checked_ones(marts: Marts) -> None:
    """By its own interval: stated, learnt, or set; a disabled one may be silent."""

    def noted(server: int, minutes_ago: Iterable[int], status: str = "healthy") -> None:
        for minutes in minutes_ago:
            at = datetime.now(UTC) - timedelta(minutes=minutes)
            event_at(marts, at.isoformat(), status, server)

    def fresh(query: str = "select 1") -> tuple[str, ...]:
        ask(marts.dsn, query)
        results = {r.node.name: r for r in marts.dbt(marts.dsn, "source", "freshness")}
        with connect(marts.dsn) as connection:
            missed = [
                c for c in freshness(connection, datetime.now(UTC), Settings()) if c.is_missed
            ]
        assert (str(results["mcp_servers"].status) == "warn") == bool(missed)
        return tuple(str(results[name].status) for name in ("mcp_health_log", "mcp_servers"))

    # Two of the columns have the names that queries give to the table.
    ask(
        marts.dsn,
        "alter table omni2.mcp_servers add column health_check_interval text,"
        " add column s text, add column servers text",
    )
    noted(1, range(0, 60, 5))
    assert fresh() == ("pass", "pass")
    noted(2, range(100, 400, 20))
    assert fresh() == ("pass", "warn")
    assert fresh("update omni2.mcp_servers set health_check_interval = '3600' where id = 2") == (
        "pass",
        "pass",
    )
    noted(3, range(600, 700, 10), " MAINTENANCE")
    assert fresh() == ("pass", "pass")
    assert fresh("insert into omni2.mcp_servers (id, name) values (4, 'never')") == ("pass", "warn")
    noted(4, range(0, -60, -1))
    assert fresh() == ("pass", "warn")
    noted(4, [0])
    assert fresh() == ("pass", "pass")
