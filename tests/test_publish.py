"""Publishing: all that was judged or nothing, and readers who never notice."""

import threading
from collections.abc import Callable, Iterator
from datetime import date
from uuid import UUID, uuid4

import psycopg
import pytest

from omniledger import publish as publishing
from omniledger import report
from omniledger.database import Connection, Dsn, connect
from omniledger.errors import DatabaseError, GateRefused, NotReadyError
from omniledger.marts import MARTS
from omniledger.publish import Published, publish
from omniledger.settings import Settings
from tests.conftest import Server, ask
from tests.expectations.marts import built_marts, spoil

USAGE, TOOLS, HEALTH = "fct_daily_usage", "fct_daily_tool_usage", "fct_daily_health"
QUOTA, SERVERS = "fct_daily_quota", "fct_daily_mcp_cost"
FOCUS, BILL = "fct_focus", "fct_bill_reconciliation"
HOURS, INCIDENTS = "fct_hourly_health", "fct_incidents"
NO_DAYS: dict[str, tuple[date, ...]] = {mart.name: () for mart in MARTS if mart.day is not None}
DAYS = tuple(date(2026, 3, day) for day in range(1, 6))

_JUDGED = """
insert into ledger.gate_results (run_id, suite, expectation, severity, passed)
values (%s, 'daily_usage', 'All is well', %s, %s)
"""


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return built_marts(server)


@pytest.fixture
def reader(dsn: Dsn) -> Iterator[Connection]:
    with connect(dsn, autocommit=True) as connection:
        yield connection


def judged(dsn: Dsn, *, severity: str = "stop", passed: bool = True) -> UUID:
    """A run that the gate has judged."""
    run_id = uuid4()
    with connect(dsn) as connection:
        connection.execute(_JUDGED, [run_id, severity, passed])
    return run_id


def published(dsn: Dsn) -> Published:
    """What publishing a run that passed did."""
    run_id = judged(dsn)
    with connect(dsn) as connection:
        return publish(connection, run_id)


def rebuild(dsn: Dsn, mart: str, day: str, change: str = "") -> None:
    """Build a day again, as dbt does: new stamps, and new figures where something changed."""
    spoil(
        dsn,
        f"update analytics_build.{mart} set built_xmin = built_xmin + 1, built_at = now() {change} "
        f"where {'health_date' if mart == HEALTH else 'usage_date'} = '{day}'",
    )


def contents(dsn: Dsn, schema: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        mart.name: ask(dsn, f"select * from {schema}.{mart.name} as m order by m") for mart in MARTS
    }


def versions(dsn: Dsn, mart: str) -> set[tuple[object, ...]]:
    """Each published row and the transaction that wrote it."""
    return set(ask(dsn, f"select xmin::text, ctid::text from analytics.{mart}"))


def test_first_time_publishes_the_whole(each_server: Server) -> None:
    dsn = built_marts(each_server)

    done = published(dsn)

    assert contents(dsn, "analytics") == contents(dsn, "analytics_build")
    daily = (USAGE, QUOTA, TOOLS, SERVERS, HEALTH, HOURS, INCIDENTS, FOCUS)
    assert done.days == {**dict.fromkeys(daily, DAYS), BILL: DAYS[:1]}
    assert done.dimensions == ("dim_users", "dim_mcp_servers")
    assert done.rows == sum(len(rows) for rows in contents(dsn, "analytics").values())


def test_published_tables_have_the_keys_indexes_and_comments_of_the_built(dsn: Dsn) -> None:
    published(dsn)
    described = """
        select
            obj_description(c.oid), col_description(c.oid, 7),
            (select array_agg(pg_get_indexdef(i.indexrelid) order by 1) from pg_index as i
             where i.indrelid = c.oid)
        from pg_class as c where c.oid = to_regclass(%s)
    """
    [(table, column, indexes)] = ask(dsn, described, "analytics.fct_daily_usage")

    assert table == "One row per day, user, model and source."
    assert column == "Chat requests of the day."
    assert len(indexes) == 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        spoil(dsn, f"insert into analytics.{USAGE} select * from analytics.{USAGE} limit 1")


def test_the_page_says_what_time_zone_its_figures_are_of(dsn: Dsn) -> None:
    def told(zone: str) -> None:
        with connect(dsn) as connection:
            Settings(reporting_timezone=zone).store(connection)

    told("Asia/Tokyo")
    published(dsn)
    # By a run that was refused.
    told("Europe/Berlin")
    with connect(dsn) as connection:
        figures = report.collect(connection)
    assert figures.timezone == "Asia/Tokyo"


def test_publishing_twice_changes_nothing(dsn: Dsn) -> None:
    published(dsn)
    before = {mart.name: versions(dsn, mart.name) for mart in MARTS}

    again = published(dsn)

    assert again == Published(NO_DAYS, rows=0)
    assert {mart.name: versions(dsn, mart.name) for mart in MARTS} == before


def test_rebuilt_day_moves_and_no_other_row_is_touched(dsn: Dsn) -> None:
    published(dsn)
    before = versions(dsn, USAGE)
    rebuild(dsn, USAGE, "2026-03-02", ", errors = errors + 1")

    done = published(dsn)

    assert done.days == NO_DAYS | {USAGE: (date(2026, 3, 2),)}
    assert done.rows == 4
    assert contents(dsn, "analytics") == contents(dsn, "analytics_build")
    assert len(versions(dsn, USAGE) - before) == 4


def test_days_that_a_refused_run_built_are_published_with_the_next(dsn: Dsn) -> None:
    published(dsn)
    rebuild(dsn, HEALTH, "2026-03-01", ", incidents = 7")
    refused = judged(dsn, passed=False)
    with connect(dsn) as connection, pytest.raises(GateRefused, match=str(refused)):
        publish(connection, refused)
    rebuild(dsn, HEALTH, "2026-03-05", ", incidents = 8")

    assert published(dsn).days[HEALTH] == (date(2026, 3, 1), date(2026, 3, 5))
    assert contents(dsn, "analytics") == contents(dsn, "analytics_build")


def test_day_that_is_gone_from_the_build_is_gone_for_readers(dsn: Dsn) -> None:
    published(dsn)
    spoil(dsn, f"delete from analytics_build.{TOOLS} where usage_date = '2026-03-03'")

    done = published(dsn)

    assert done.days[TOOLS] == (date(2026, 3, 3),)
    assert done.rows == 0
    assert contents(dsn, "analytics") == contents(dsn, "analytics_build")


def test_row_that_is_missing_from_readers_comes_back(dsn: Dsn) -> None:
    published(dsn)
    spoil(dsn, f"delete from analytics.{USAGE} where usage_date = '2026-03-04' and user_id = 1")

    assert published(dsn).days[USAGE] == (date(2026, 3, 4),)
    assert contents(dsn, "analytics") == contents(dsn, "analytics_build")


def test_dimension_is_replaced_only_when_it_says_something_else(dsn: Dsn) -> None:
    published(dsn)
    spoil(
        dsn,
        "update analytics_build.dim_users set built_at = now()",
        "update analytics_build.dim_mcp_servers set built_at = now(), mcp_server_name = null "
        "where mcp_server_id = 1",
    )

    assert published(dsn).dimensions == ("dim_mcp_servers",)
    assert (
        contents(dsn, "analytics")["dim_mcp_servers"]
        == (contents(dsn, "analytics_build")["dim_mcp_servers"])
    )


def test_new_column_is_added(dsn: Dsn) -> None:
    published(dsn)
    spoil(dsn, f"alter table analytics_build.{USAGE} add column seats numeric(9, 3)")
    rebuild(dsn, USAGE, "2026-03-05", ", seats = 1.5")

    published(dsn)

    query = f"select usage_date, seats from analytics.{USAGE} where seats is not null limit 1"
    assert str(ask(dsn, query)[0][1]) == "1.500"


def test_new_column_gives_way_to_a_reader_that_stays(
    dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(dsn)
    spoil(dsn, f"alter table analytics_build.{USAGE} add column seats integer")
    monkeypatch.setattr(publishing, "_ATTEMPTS", 2)
    with connect(dsn) as staying:
        staying.execute(f"select from analytics.{USAGE}".encode())

        with pytest.raises(NotReadyError, match=r"Somebody holds analytics\.fct_daily_usage"):
            published(dsn)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop column blocked", r"has the column blocked, which the models no longer make"),
        (
            "alter column blocked type integer",
            r"fct_daily_usage\.blocked as integer, but .* bigint",
        ),
    ],
)
def test_column_that_went_or_changed_stops_with_a_way_out(dsn: Dsn, change: str, said: str) -> None:
    published(dsn)
    before = contents(dsn, "analytics")
    spoil(dsn, f"alter table analytics_build.{USAGE} {change}")
    rebuild(dsn, HEALTH, "2026-03-01")

    with pytest.raises(NotReadyError, match=said):
        published(dsn)

    assert contents(dsn, "analytics") == before


def test_mart_that_was_not_built_stops(dsn: Dsn) -> None:
    spoil(dsn, "drop table analytics_build.dim_mcp_servers")

    with pytest.raises(NotReadyError, match=r"analytics_build\.dim_mcp_servers isn't there yet"):
        published(dsn)

    assert ask(dsn, "select to_regclass('analytics.fct_daily_usage')") == [(None,)]


def test_only_what_was_judged_is_published(dsn: Dsn) -> None:
    with connect(dsn) as connection:
        with pytest.raises(NotReadyError, match="were not judged"):
            publish(connection, uuid4())
        run_id = judged(dsn)
        rebuild(dsn, USAGE, "2026-03-05")
        with pytest.raises(NotReadyError, match="built again after the run"):
            publish(connection, run_id)

        # Not by force either: nobody has seen what is built now.
        with pytest.raises(NotReadyError, match="built again after the run"):
            publish(connection, run_id, why="it will do")
    assert ask(dsn, "select to_regclass('analytics.fct_daily_usage')") == [(None,)]


def test_warning_is_published(dsn: Dsn) -> None:
    run_id = judged(dsn, severity="warn", passed=False)
    with connect(dsn) as connection:
        assert publish(connection, run_id).days[USAGE] == DAYS


def test_user_without_rights_is_told_so(dsn: Dsn, server: Server) -> None:
    run_id = judged(dsn)
    spoil(
        dsn,
        "create role omniledger_weak",
        "grant usage on schema analytics_build, ledger to omniledger_weak",
        "grant select on all tables in schema analytics_build, ledger to omniledger_weak",
    )
    try:
        with connect(dsn) as connection:
            connection.execute("set role omniledger_weak")
            connection.commit()
            with pytest.raises(NotReadyError, match="doesn't let this user publish the figures"):
                publish(connection, run_id)
    finally:
        spoil(dsn, "drop owned by omniledger_weak", "drop role omniledger_weak")


def waiting(reader: Connection, session: int) -> None:
    """Return once that session waits for a lock."""
    asked = "select wait_event_type from pg_stat_activity where pid = %s"
    for _ in range(100_000):
        if reader.execute(asked, [session]).fetchone() == ("Lock",):
            return
    raise AssertionError("the session never had to wait")


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_publisher_that_is_killed_in_the_middle_has_published_nothing(
    dsn: Dsn, reader: Connection
) -> None:
    published(dsn)
    before = contents(dsn, "analytics")
    rebuild(dsn, USAGE, "2026-03-01", ", errors = 5")
    rebuild(dsn, HEALTH, "2026-03-01", ", incidents = 5")
    run_id = judged(dsn)
    with connect(dsn) as holding, connect(dsn) as connection:
        # Usage moves first, then the publisher waits for health.
        holding.execute(
            f"select from analytics.{HEALTH} where health_date = '2026-03-01' for update".encode()
        )
        thread, results = in_thread(lambda: publish(connection, run_id))
        session = connection.info.backend_pid
        waiting(reader, session)
        reader.execute("select pg_terminate_backend(%s)", [session])
        thread.join()

    assert isinstance(results[0], DatabaseError)
    assert contents(dsn, "analytics") == before
    assert len(published(dsn).days[USAGE]) == 1


def test_second_publisher_waits_and_finds_nothing_to_do(dsn: Dsn, reader: Connection) -> None:
    published(dsn)
    rebuild(dsn, HEALTH, "2026-03-01", ", incidents = 5")
    run_id = judged(dsn)
    with connect(dsn) as holding, connect(dsn) as first, connect(dsn) as second:
        holding.execute(
            f"select from analytics.{HEALTH} where health_date = '2026-03-01' for update".encode()
        )
        one, first_results = in_thread(lambda: publish(first, run_id))
        waiting(reader, first.info.backend_pid)
        two, second_results = in_thread(lambda: publish(second, run_id))
        waiting(reader, second.info.backend_pid)
        holding.rollback()
        one.join()
        two.join()

    assert isinstance(first_results[0], Published)
    assert first_results[0].days[HEALTH] == (date(2026, 3, 1),)
    assert second_results == [Published(NO_DAYS, rows=0)]


def test_readers_never_see_an_empty_table_mixed_days_or_an_error(dsn: Dsn) -> None:
    daily = [mart.name for mart in MARTS if mart.day is not None]

    def build(number: int) -> None:
        """Every row of every mart says which run built it."""
        spoil(
            dsn,
            *(
                f"update analytics_build.{mart} set built_at = now(), built_xmin = {number}"
                for mart in daily
            ),
            f"update analytics_build.dim_mcp_servers set mcp_server_name = {number}",
        )

    sides = [
        *(f"select count(*) as rows, built_xmin from analytics.{m} group by 2" for m in daily),
        "select count(*), mcp_server_name::bigint from analytics.dim_mcp_servers group by 2",
    ]
    placed = (f"select {place}, side.* from ({one}) as side" for place, one in enumerate(sides))
    query = (
        "select array_agg(rows order by place, rows), array_agg(distinct built_xmin), count(*)"
        f" from ({' union all '.join(placed)}) as sides (place, rows, built_xmin)"
    )
    build(0)
    published(dsn)
    rows, *_ = ask(dsn, query)[0]
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        with connect(dsn, autocommit=True) as connection:
            while not done.is_set():
                [(now, numbers, parts)] = connection.execute(query.encode()).fetchall()
                assert (now, len(numbers), parts) == (rows, 1, len(sides))
                seen.update(numbers)

    threads = [in_thread(read) for _ in range(2)]
    for number in range(1, 21):
        build(number)
        published(dsn)
    done.set()
    for thread, results in threads:
        thread.join()
        assert results == [None]

    assert len(seen) > 2
    assert seen <= set(range(21))
