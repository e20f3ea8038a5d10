"""The copy on another server is the source's logs, and gives the same figures row by row."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from omniledger.database import connect
from omniledger.embedded.programs import Programs
from omniledger.errors import OmniledgerError, PassingError
from tests.analytics.conftest import Pair
from tests.conftest import ask

LATE = """
insert into omni2.audit_logs (timestamp, user_id, question, success, tokens_input, tokens_output)
values ('2026-03-02 03:00+00', 2, 'late', true, 1000, 200)
"""
BUILT = """
select usage_date::text, max(built_at) from analytics_build.fct_daily_usage group by 1
"""


@pytest.fixture(scope="module", autouse=True)
def first(pair: Pair) -> None:
    """The first copy, and figures of it."""
    copied = pair.copy()
    assert copied.why_all == "there is no copy yet"
    assert copied.rows == {"audit_logs": 400, "mcp_health_log": 700}
    pair.dbt(pair.analytics, "run")


def test_where_nothing_changed_nothing_is_taken_over(pair: Pair) -> None:
    assert pair.copy().rows == {"audit_logs": 0, "mcp_health_log": 0}


def test_figures_are_the_same_row_by_row_after_updates_deletes_and_late_rows(pair: Pair) -> None:
    """Here they are built of what changed, at the source all at once, of its own tables."""
    pair.at_source("update omni2.audit_logs set tokens_output = 9999 where id = 17")
    pair.at_source("update omni2.audit_logs set timestamp = '2026-03-05 01:00+00' where id = 30")
    pair.at_source("delete from omni2.audit_logs where id between 100 and 140")
    pair.at_source("delete from omni2.mcp_health_log where id = 300")
    pair.at_source("update omni2.mcp_health_log set status = 'error' where id in (40, 650)")
    pair.at_source("update auth_service.users set name = 'Renamed' where id = 3")
    pair.at_source(LATE)
    built = dict(pair.here(BUILT))

    assert pair.copy().rows == {"audit_logs": 3, "mcp_health_log": 2}

    pair.dbt(pair.analytics, "run")
    pair.dbt(pair.source, "run")
    pair.assert_same_log()
    pair.assert_same_figures()
    after = dict(pair.here(BUILT))
    changed = {day for day in built | after if built.get(day) != after.get(day)}
    assert changed == {"2026-03-01", "2026-03-02", "2026-03-05"}


def test_transactions_that_commit_out_of_order_are_not_missed(pair: Pair) -> None:
    with connect(pair.source) as slow:
        slow.execute(LATE.encode())
        pair.at_source(LATE)
        pair.copy()
    pair.copy()
    pair.assert_same_log()


def test_an_emptied_log_is_empty_here_too(pair: Pair) -> None:
    pair.at_source("create table public.kept as select * from omni2.mcp_health_log")
    pair.at_source("truncate omni2.mcp_health_log")
    pair.copy()
    pair.assert_same_log()
    pair.at_source(
        "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status)"
        " select mcp_server_id, timestamp, status from public.kept"
    )
    pair.copy()
    pair.assert_same_log()


def test_a_link_lost_in_the_middle_leaves_the_copy_as_it_was(pair: Pair) -> None:
    before = pair.here("select count(*), max(change_xid) from omni2.audit_logs")
    pair.at_source(LATE)
    failed: list[OmniledgerError] = []

    def copy() -> None:
        try:
            pair.copy()
        except OmniledgerError as error:
            failed.append(error)

    # It has read one log, and waits for the other.
    with connect(pair.source) as holder:
        holder.execute("lock table omni2.mcp_health_log in access exclusive mode")
        copying = threading.Thread(target=copy)
        copying.start()
        killed: list[tuple[object, ...]] = []
        while not killed and copying.is_alive():
            killed = pair.at_source(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'omniledger analytics' and wait_event_type = 'Lock'"
                " and datname = current_database()"
            )
        copying.join()
    assert [type(error) for error in failed] == [PassingError]
    assert str(failed[0]).startswith("The source can't be read: ")
    assert "start it, or look at its address" in str(failed[0])
    assert "\n" not in str(failed[0])
    assert pair.here("select count(*), max(change_xid) from omni2.audit_logs") == before

    assert pair.copy().why_all is None
    pair.assert_same_log()


def test_pruned_days_stay_in_the_copy(pair: Pair) -> None:
    [(kept,)] = pair.here("select count(*) from omni2.audit_logs where timestamp < '2026-03-02'")
    with connect(pair.source) as connection:
        connection.execute(
            "insert into ledger.prunings (before_date, before_at, built_xmin)"
            " values ('2026-03-02', '2026-03-02 00:00+00', 1)"
        )
        connection.execute("delete from omni2.audit_logs where timestamp < '2026-03-02'")
        connection.execute(
            "delete from omni2.audit_logs where id = (select max(id) from omni2.audit_logs)"
        )
    pair.copy()
    count = "select count(*) from omni2.audit_logs where timestamp {} '2026-03-02'"
    assert pair.here(count.format("<")) == [(kept,)]
    assert pair.here(count.format(">=")) == pair.at_source(count.format(">="))
    pair.here("delete from omni2.audit_logs where timestamp < '2026-03-02'")
    pair.at_source("delete from ledger.prunings")


def test_rows_that_were_pruned_here_do_not_come_back(pair: Pair) -> None:
    """Neither one by one nor where all are taken anew."""
    old = "select count(*) from omni2.mcp_health_log where timestamp < '2026-03-02'"
    assert pair.at_source(old) != [(0,)]
    pair.here(
        "insert into ledger.prunings (before_date, before_at, built_xmin)"
        " values ('2026-03-02', '2026-03-02 00:00+00', 1)"
    )
    pair.here("delete from omni2.mcp_health_log where timestamp < '2026-03-02'")
    pair.at_source(
        "update omni2.mcp_health_log set status = 'error' where timestamp < '2026-03-02'"
    )
    assert pair.copy().rows["mcp_health_log"] == 0
    pair.here("update ledger.ingests set identity = 'another'")
    pair.copy()
    assert pair.here(old) == [(0,)]
    pair.here("delete from ledger.prunings")
    pair.here("update ledger.ingests set identity = 'another'")
    pair.copy()
    pair.assert_same_log()


def test_a_source_whose_transaction_ids_went_back_is_taken_anew(pair: Pair) -> None:
    pair.copy()
    pair.here("update ledger.ingests set next_xid = next_xid + 1000000")
    pair.at_source("delete from omni2.audit_logs where id = 200")
    pair.at_source("delete from ledger.deleted_days")

    assert pair.copy().why_all == (
        "the source's transaction ids went back, as after a restore from a backup"
    )
    pair.assert_same_log()


def test_a_source_restored_in_another_cluster_is_taken_anew(pair: Pair, tmp_path: Path) -> None:
    backup = dump(pair)
    pair.at_source(LATE)
    pair.at_source("update omni2.audit_logs set tokens_input = 5 where id = 222")
    pair.copy()
    restored = replace(pair.elsewhere.dsn, dbname=pair.source.dbname + "_restored")
    with connect(pair.elsewhere.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(restored.dbname)))
    load(backup, restored.url())
    ids = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    [(before,)], [(after,)] = pair.at_source(ids), ask(restored, ids)
    assert before != after

    pair.attach(restored)
    copied = pair.copy()

    assert copied.why_all == (
        "the source is another server, database or timeline than the last time"
    )
    pair.source = restored
    pair.assert_same_log()
    ask(restored, LATE)
    assert pair.copy().rows["audit_logs"] == 1
    pair.assert_same_log()


def dump(pair: Pair) -> str:
    programs = Programs(Path("/"), None).bin_dir
    done = subprocess.run(
        [programs / "pg_dump", pair.source.url()], capture_output=True, text=True, check=True
    )
    return done.stdout


def load(backup: str, url: str) -> None:
    programs = Programs(Path("/"), None).bin_dir
    subprocess.run(
        [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=backup,
        capture_output=True,
        text=True,
        check=True,
    )
