"""Which moments a day of the reporting time zone has."""

from datetime import date, datetime, timedelta

import pytest

from expectations import daily_health
from expectations.rules import ExpectNoRows
from expectations.scope import Scope
from omniledger.database import Connection, Dsn, connect
from tests.conftest import Server
from tests.expectations.marts import built_marts, spoil


@pytest.fixture(scope="module")
def dsn(server: Server) -> Dsn:
    return built_marts(server)


def bounds(connection: Connection, scope: Scope) -> list[tuple[datetime, datetime]]:
    return connection.execute(scope.range_rows().encode()).fetchall()


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("UTC", date(2026, 3, 1), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        # The clock goes back from 1:00 to 0:00, so that midnight comes twice.
        ("America/Havana", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_day_is_as_long_as_the_clocks_make_it(
    dsn: Dsn, timezone: str, day: date, hours: float
) -> None:
    with connect(dsn) as connection:
        [(start, end)] = bounds(connection, Scope(timezone, day, (day,)))

    assert end - start == timedelta(hours=hours)


def test_days_in_a_row_are_read_as_one_stretch(dsn: Dsn) -> None:
    days = [date(2026, 3, 2), date(2026, 3, 1), date(2026, 3, 9), date(2026, 3, 3)]
    with connect(dsn) as connection:
        scope = Scope.read(connection, "UTC", days)

        assert [(a.date(), b.date()) for a, b in bounds(connection, scope)] == [
            (date(2026, 3, 1), date(2026, 3, 4)),
            (date(2026, 3, 9), date(2026, 3, 10)),
        ]


def test_no_days_are_no_stretch(dsn: Dsn) -> None:
    with connect(dsn) as connection:
        assert bounds(connection, Scope.read(connection, "UTC", [])) == []


def test_today_is_that_of_the_standing_clock_in_the_reporting_zone(dsn: Dsn) -> None:
    with connect(dsn) as connection:
        assert Scope.read(connection, "UTC", []).today == date(2026, 3, 5)
        assert Scope.read(connection, "Asia/Tokyo", []).today == date(2026, 3, 6)


def test_today_is_the_servers_where_no_clock_stands(server: Server) -> None:
    dsn = built_marts(server)
    spoil(dsn, "delete from ledger.settings where name = 'as_of'")
    with connect(dsn) as connection:
        [(today,)] = connection.execute(
            "select ((now() + interval '5 minutes') at time zone 'UTC')::date"
        ).fetchall()

        assert Scope.read(connection, "UTC", []).today == today


@pytest.mark.parametrize(
    ("timezone", "missing"), [("Pacific/Apia", []), ("UTC", [(date(2011, 12, 30),)])]
)
def test_a_date_that_the_time_zone_skipped_is_no_missing_day(
    dsn: Dsn, timezone: str, missing: list[tuple[date]]
) -> None:
    [health] = daily_health.judged(Scope(timezone, date(2012, 1, 2), ()))
    [rule] = [
        rule
        for rule in health.suite.expectations
        if isinstance(rule, ExpectNoRows) and "No day is missing" in str(rule.description)
    ]
    query = str(rule.unexpected_rows_query).format(
        batch="(select '' as health_key, 1 as mcp_server_id, health_date from"
        " (values (date '2011-12-29'), ('2011-12-31'), ('2012-01-01')) as days (health_date))"
    )
    with connect(dsn) as connection:
        found = connection.execute(f"select first_missing from ({query}) as missing".encode())
        assert found.fetchall() == missing
