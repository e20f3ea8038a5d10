"""Raw rows go, figures stay: what is pruned, what is not, and the runs that come after."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from expectations import gate
from expectations.verdict import Verdict
from migrations.merge.pacing import Pace
from migrations.roles import granting
from omniledger import revisions
from omniledger.database import Connection, connect
from omniledger.errors import LocalError, NotReadyError, OmniledgerError, SettingsError
from omniledger.marts import MARTS
from omniledger.merging.verifying import verify
from omniledger.pruning import archiving, removing
from omniledger.pruning.removing import Removed, look, prune
from omniledger.pruning.zone import require_same_days
from omniledger.publish import publish
from omniledger.roles import RUNNER
from omniledger.runs import Began, recorded
from omniledger.settings import PROJECT_DIR, Settings
from tests.conftest import Server, ask
from tests.killing import Killed, killed_at
from tests.migrations.operator import omniledger
from tests.models.conftest import Marts, Prepared, event_at, request_at
from tests.models.test_roles import member

BEFORE = date(2026, 2, 20)
GOING = ("2026-02-09", "2026-02-10", "2026-02-12", "2026-02-19")
STAYING = ("2026-02-20", "2026-03-01", "2026-03-02")
ODD_COST = Decimal("0.00000000000000000000000000000000000000123456789")


_SETTLED_BILL = """
do $$
declare name text;
begin
    for name in
        select attname from pg_attribute
        where
            attrelid = '{bill}'::regclass
            and attnum > 0 and attnotnull and attname <> 'reconciliation_key'
    loop
        execute format('alter table {bill} alter %I drop not null', name);
    end loop;
    insert into {bill} (reconciliation_key, bill_date, is_settled)
    values ('a', '2026-02-10', true);
end
$$
"""


def fill(marts: Marts) -> None:
    """Requests, tool calls and checks on seven days; a server that fell silent long ago."""
    for day in (*GOING, *STAYING):
        split = {"tokens_input": 1000, "tokens_output": 10, "llm_model": "claude-3-5-haiku"}
        request_at(marts, f"{day} 10:00+00", user_id=9, cost_usd="0.5", **split)
        request_at(marts, f"{day} 11:00+00", user_id=9, **split)
        request_at(marts, f"{day} 12:00+00", mcp_target="files", tool_called="read", user_id=9)
        event_at(marts, f"{day} 08:00+00", "timeout", error_message="=<b>gone")
        event_at(marts, f"{day} 09:00+00", response_time_ms=7)
    for minute in range(6):
        event_at(marts, f"2026-02-09 07:{minute}0+00", server=2)
    request_at(marts, "2026-02-10 13:00+00", question="\x1b[31m", cost_usd=ODD_COST, success=False)


def publish_judged(connection: Connection, run_id: UUID) -> None:
    """Publish what was built, as a run that the gate let pass."""
    connection.execute(
        "insert into ledger.gate_results (run_id, suite, expectation, severity, passed)"
        " values (%s, 'daily_usage', 'All is well', 'stop', true)",
        [run_id],
    )
    publish(connection, run_id)


def run(marts: Marts, *, in_full: bool = False) -> None:
    """What a published run does, the gate apart."""
    with recorded(marts.dsn) as one:
        (marts.run_in_full if in_full else marts.run)()
        with connect(marts.dsn, autocommit=True) as connection:
            publish_judged(connection, one.run_id)
        one.end("published")


@pytest.fixture
def marts(prepared: Prepared) -> Marts:
    def fill_and_publish(marts: Marts) -> None:
        fill(marts)
        run(marts)

    return prepared.in_state("before pruning", fill_and_publish)


def pruned(marts: Marts, **how: Any) -> Removed:
    return prune(marts.dsn, marts.dbt.settings, BEFORE, **how)


def published(marts: Marts) -> dict[str, list[tuple[Any, ...]]]:
    return {
        mart.name: ask(marts.dsn, f"select m.* from analytics.{mart.name} as m order by 1")
        for mart in MARTS
    }


def built(marts: Marts) -> dict[str, list[tuple[Any, ...]]]:
    return {mart.name: marts.rows(mart.name) for mart in MARTS}


def figures(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows without their stamps, which come last."""
    return {mart: [row[:-2] for row in found] for mart, found in rows.items()}


def days_of(marts: Marts, table: str) -> list[str]:
    rows = ask(marts.dsn, f"select distinct timestamp::date::text from omni2.{table} order by 1")
    return [day for (day,) in rows]


def judged(marts: Marts, folder: Path, began: Began | None = None) -> Verdict:
    return gate.judge(marts.dsn, uuid4(), folder / "site", folder / "home", began)


def test_a_runner_removes_raw_rows_with_what_the_docs_grant_and_not_without(marts: Marts) -> None:
    ask(marts.dsn, granting("public"))
    said = (PROJECT_DIR / "docs" / "security.md").read_text()
    grants = [line for line in said.splitlines() if re.match("grant .* to LOGIN;", line)]
    with member(marts.dsn, RUNNER) as pruner:
        theirs = replace(marts, dsn=pruner)
        with pytest.raises(NotReadyError, match="permission denied"):
            pruned(theirs)
        for grant in grants:
            ask(marts.dsn, grant.replace("LOGIN", pruner.user))
        with killed_at(removing, "_in_batches"):
            pruned(theirs)
        assert sum(pruned(theirs).rows.values()) > 0


def test_marts_stay_row_by_row_through_runs_after_pruning(marts: Marts, tmp_path: Path) -> None:
    before = published(marts)
    raw = {
        table: ask(marts.dsn, f"select r.* from omni2.{table} as r order by id")
        for table in ("audit_logs", "mcp_health_log")
    }
    looked = look(marts.dsn, marts.dbt.settings, BEFORE)
    found = looked.tables
    assert looked.before == BEFORE
    assert [(one.table, one.rows) for one in found] == [("audit_logs", 13), ("mcp_health_log", 6)]
    assert all(one.size > 40 * one.rows for one in found)
    in_all = {table: len(rows) for table, rows in raw.items()}
    older = {
        table: ask(marts.dsn, f"select count(*) from omni2.{table} where timestamp < %s", BEFORE)
        for table in in_all
    }
    assert [(one.rows + one.staying,) for one in found] == [older[t][0] for t in older]
    assert ask(marts.dsn, "select count(*) from ledger.prunings") == [(0,)]

    removed = pruned(marts, archive=tmp_path / "archive")
    assert removed.rows == {"audit_logs": 13, "mcp_health_log": 6}
    assert days_of(marts, "audit_logs") == list(STAYING)
    # The last days before are needed for the first that stays, and a server's last events always.
    assert days_of(marts, "mcp_health_log") == ["2026-02-09", "2026-02-19", *STAYING]
    assert ask(marts.dsn, "select count(*) from ledger.deleted_days") == [(0,)]
    assert_read_back(raw, tmp_path / "archive", marts)

    run(marts)
    assert published(marts) == built(marts) == before
    # Anew, as after a refusal or a change of code; late rows change their own days only.
    ask(marts.dsn, "update ledger.model_prices set input = input * 2")
    request_at(marts, "2026-02-20 15:00+00", user_id=9, cost_usd="1")
    run(marts, in_full=True)
    after = published(marts)
    assert built(marts) == after
    for mart in MARTS:
        if mart.raw and mart.day:
            [place] = [n for n, name in enumerate(columns(marts, mart.name)) if name == mart.day]
            old = [row for row in before[mart.name] if row[place] < BEFORE]
            assert old, mart.name
            assert [row for row in after[mart.name] if row[place] < BEFORE] == old
    assert figures(after)["dim_mcp_servers"] == figures(before)["dim_mcp_servers"]
    assert figures(after)["fct_incidents"] == figures(before)["fct_incidents"]
    changed = figures(after)["fct_daily_usage"] != figures(before)["fct_daily_usage"]
    assert changed, "the late row and the price are in the figures of the days that stayed"

    # What comes for a pruned day is in no figure, never removed, and told.
    late = request_at(marts, "2026-02-12 10:00+00", user_id=9, cost_usd="1")
    run(marts)
    for rows in (published(marts), built(marts)):
        assert [row for row in rows["fct_daily_usage"] if row[1] < BEFORE] == [
            row for row in before["fct_daily_usage"] if row[1] < BEFORE
        ]
    verdict = judged(marts, tmp_path)
    assert verdict.passed, verdict.reason()
    [told] = [w for w in verdict.warnings if w.suite == "pruned_days"]
    assert [row["id"] for row in told.sample] == [late]
    prune(marts.dsn, marts.dbt.settings, date(2026, 2, 21))
    assert days_of(marts, "audit_logs") == ["2026-02-12", *STAYING[1:]]


def test_days_of_another_zone_are_refused_once_some_stay_for_good(
    marts: Marts, tmp_path: Path
) -> None:
    """Or requests between two midnights were in no day, or in two."""

    def refuses(zone: str) -> bool:
        with connect(marts.dsn) as connection:
            try:
                require_same_days(connection, zone)
            except SettingsError:
                return True
        return False

    with connect(marts.dsn) as connection:
        marts.dbt.settings.store(connection)
    run(marts)
    assert not refuses("America/New_York")
    pruned(marts)
    assert refuses("America/New_York") and refuses("Asia/Tokyo")
    assert not refuses("UTC") and not refuses("Africa/Abidjan")
    before = published(marts)
    refused = omniledger(
        marts.dsn,
        "run",
        OMNILEDGER_HOME=str(tmp_path / "home"),
        OMNILEDGER_SITE_DIR=str(tmp_path / "site"),
        OMNILEDGER_REPORTING_TIMEZONE="America/New_York",
    )
    assert (refused.code, "set OMNILEDGER_REPORTING_TIMEZONE to UTC." in refused.refusal) == (
        2,
        True,
    )
    assert published(marts) == before
    told = "select value from ledger.settings where name = 'reporting_timezone'"
    assert ask(marts.dsn, told) == [("UTC",)]


def test_the_first_day_that_stays_knows_how_often_checks_ran_before_it(marts: Marts) -> None:
    """Its first minutes are of a state of the day before, which holds as long as checks say."""
    event_at(marts, "2026-02-15 00:10+00", server=3)
    ask(
        marts.dsn,
        "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type)"
        " select 3, at, 'healthy', 'health_check' from generate_series("
        " timestamptz '2026-02-15 00:30+00', '2026-02-21 00:10+00', '20 minutes') as at",
    )
    run(marts)
    before = figures(published(marts))["fct_daily_health"]
    pruned(marts)
    run(marts, in_full=True)
    assert figures(published(marts))["fct_daily_health"] == before


def test_a_server_that_is_deleted_with_its_log_stops_no_later_run(
    marts: Marts, tmp_path: Path
) -> None:
    pruned(marts)
    ask(marts.dsn, "delete from omni2.mcp_health_log where mcp_server_id = 2")
    ask(marts.dsn, "delete from omni2.mcp_servers where id = 2")
    with recorded(marts.dsn) as one:
        marts.run()
        verdict = judged(marts, tmp_path, one.began)
    assert verdict.passed, verdict.reason()
    gone = "select last_event_at, checks_verdict from {}.dim_mcp_servers where mcp_server_id = 2"
    assert ask(marts.dsn, gone.format("analytics_build")) == [(None, "deleted")]


def test_the_figures_of_pruned_days_outlast_a_downgrade_and_the_next_upgrade(marts: Marts) -> None:
    pruned(marts)
    run(marts)
    usage = "select u.* from analytics.fct_daily_usage as u where usage_date < %s order by 1"
    before = ask(marts.dsn, usage, BEFORE)
    assert before
    revisions.downgrade(marts.dsn, "base")
    revisions.upgrade(marts.dsn)
    marts.dbt(marts.dsn, "run")
    run(marts)
    assert ask(marts.dsn, usage, BEFORE) == before


def test_what_is_written_to_a_pruned_day_stops_no_later_run(marts: Marts, tmp_path: Path) -> None:
    """A late request, a late check, and a row that stayed and is changed; other days go on."""
    [(kept,)] = ask(marts.dsn, "select min(id) from omni2.audit_logs")
    ask(
        marts.dsn,
        "create table public.votes (audit_id integer references omni2.audit_logs (id));"
        f" insert into public.votes values ({kept})",
    )
    pruned(marts)
    request_at(marts, "2026-02-12 12:00+00", user_id=1, tokens_input=1000, tokens_output=1000)
    event_at(marts, "2026-02-12 09:30+00", "timeout")
    ask(marts.dsn, "update omni2.audit_logs set tokens_output = 11 where id = %s", kept)
    before = published(marts)
    for _ in range(2):
        request_at(marts, "2026-03-02 12:30+00", user_id=9, cost_usd="1")
        with recorded(marts.dsn) as one:
            marts.run()
            verdict = judged(marts, tmp_path, one.began)
            assert verdict.passed, verdict.reason()
            with connect(marts.dsn, autocommit=True) as connection:
                publish_judged(connection, one.run_id)
            one.end("published")
    assert [len(w.sample) for w in verdict.warnings if w.suite == "pruned_days"] == [2, 1]
    after = published(marts)
    assert after["fct_daily_usage"] != before["fct_daily_usage"]
    for mart, place in (("fct_daily_usage", 1), ("fct_daily_health", 1)):
        old = [row for row in before[mart] if row[place] < BEFORE]
        assert old and [row for row in after[mart] if row[place] < BEFORE] == old


def test_a_day_that_was_not_pruned_is_still_refused_where_it_is_stale(
    marts: Marts, tmp_path: Path
) -> None:
    pruned(marts)
    request_at(marts, "2026-02-20 12:00+00", user_id=9, cost_usd="1")
    with recorded(marts.dsn) as one:
        verdict = judged(marts, tmp_path, one.began)
    assert "No day is older than a change of it" in verdict.reason()


def columns(marts: Marts, mart: str) -> list[str]:
    rows = ask(
        marts.dsn,
        "select attname::text from pg_attribute where attrelid = to_regclass(%s) and attnum > 0"
        " and not attisdropped order by attnum",
        f"analytics.{mart}",
    )
    return [name for (name,) in rows]


def assert_read_back(raw: dict[str, list[tuple[Any, ...]]], folder: Path, marts: Marts) -> None:
    """The files hold what is gone, value by value, with money exact."""
    [folder] = folder.iterdir()
    for table, rows in raw.items():
        left = {row[0] for row in ask(marts.dsn, f"select id from omni2.{table}")}
        files = sorted((folder / table).iterdir())
        assert [file.suffix for file in files] == [".parquet"] * len(files)
        read = [row for file in files for row in pq.read_table(file).to_pylist()]
        read.sort(key=lambda row: int(row["id"]))
        assert [row["id"] for row in read] == [row[0] for row in rows if row[0] not in left]
        with connect(marts.dsn) as connection:
            cursor = connection.execute(f"select * from omni2.{table} limit 0".encode())
            names = [column.name for column in cursor.description or ()]
        for one, row in zip(read, [row for row in rows if row[0] not in left], strict=True):
            for name, value in zip(names, row, strict=True):
                assert one[name] == _as_read(value), name
                assert isinstance(one[name], Decimal) or not isinstance(value, Decimal), name
    odd = pq.read_table(folder / "audit_logs" / "2026-02-10.parquet")
    assert ODD_COST in odd.column("cost_usd").to_pylist()


def _as_read(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, dict):
        return json.dumps(value)
    return value


def test_killed_at_any_point_it_goes_on_where_it_was(
    marts: Marts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At half a file, a whole one whose rows are still there, a batch, and the end."""
    folder, kills, rows = tmp_path / "archive", 0, 0
    ticks = iter(())

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def tick(*arguments: Any) -> Any:
            result = act(*arguments)
            if next(ticks, None) == "die":
                raise Killed
            return result

        return tick

    for place, name in ((archiving, "_write"), (archiving, "_keep_name"), (Pace, "rest")):
        monkeypatch.setattr(place, name, dying(getattr(place, name)))
    while True:
        ticks = iter(["live"] * (kills % 3) + ["die"])  # type: ignore[assignment]
        try:
            pruned(marts, archive=folder)
            break
        except Killed:
            kills += 1
        assert [file.suffix for file in folder.rglob("*") if file.is_file()] == [
            ".parquet" for file in folder.rglob("*") if file.is_file()
        ]
        with pytest.raises(NotReadyError, match=f"begun with --archive {folder}"):
            pruned(marts)
    assert kills > 9
    records = ask(
        marts.dsn, "select audit_rows, health_rows, finished_at is null from ledger.prunings"
    )
    assert records == [(13, 6, False)]
    rows = sum(pq.read_table(file).num_rows for file in folder.rglob("*.parquet"))
    assert rows == 19
    assert sum(pruned(marts).rows.values()) == 0


def test_rows_that_were_restored_from_another_cluster_go_too(marts: Marts, tmp_path: Path) -> None:
    """They keep its transaction ids; those that stay for their server did not come late."""
    for table in ("audit_logs", "mcp_health_log"):
        ask(
            marts.dsn,
            f"alter table omni2.{table} disable trigger user;"
            f"update omni2.{table} set change_xid = 9000000000000000000;"
            f"alter table omni2.{table} enable trigger user",
        )
    assert pruned(marts).rows == {"audit_logs": 13, "mcp_health_log": 6}
    assert "2026-02-09" in days_of(marts, "mcp_health_log")
    assert [w for w in judged(marts, tmp_path).warnings if w.suite == "pruned_days"] == []


def test_nothing_goes_that_its_file_does_not_hold(marts: Marts, tmp_path: Path) -> None:
    """A row that nobody references any more since the file was written waits for the next one."""
    [(held,)] = ask(marts.dsn, "select min(id) from omni2.audit_logs")
    ask(
        marts.dsn,
        "create table public.votes (audit_id integer references omni2.audit_logs (id));"
        f" insert into public.votes values ({held})",
    )
    with killed_at(removing, "_in_batches"):
        pruned(marts, archive=tmp_path)
    ask(marts.dsn, "truncate public.votes")
    file = min(tmp_path.glob("*/audit_logs/*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(LocalError, match=r"can't be read as a Parquet file .* restore it"):
        pruned(marts, archive=tmp_path)
    file.write_bytes(whole)
    assert pruned(marts, archive=tmp_path).rows["audit_logs"] == 12
    assert archived(tmp_path) == 12
    assert days_of(marts, "audit_logs") == ["2026-02-09", *STAYING]
    found = look(marts.dsn, marts.dbt.settings, BEFORE).tables[0]
    assert (found.rows, found.staying) == (0, 1)
    assert "taken by the next removal" in found.stays_because
    removed = prune(marts.dsn, marts.dbt.settings, date(2026, 2, 21), archive=tmp_path)
    assert removed.rows["audit_logs"] == 4
    assert archived(tmp_path) == 16
    assert days_of(marts, "audit_logs") == list(STAYING[1:])


def archived(folder: Path) -> int:
    """The requests in all files."""
    return sum(pq.read_table(file).num_rows for file in folder.glob("*/audit_logs/*.parquet"))


def test_an_archive_that_cannot_be_written_is_refused_before_anything_is_decided(
    marts: Marts,
) -> None:
    with pytest.raises(LocalError, match=r"/proc/nope can't be written: .*; nothing was removed"):
        pruned(marts, archive=Path("/proc/nope"))
    assert ask(marts.dsn, "select count(*) from ledger.prunings") == [(0,)]


def test_an_archive_that_is_gone_is_not_made_anew(marts: Marts, tmp_path: Path) -> None:
    """Its disk may not be mounted, and what is written now would be hidden under it."""
    folder = tmp_path / "disk" / "archive"
    pruned(marts, archive=folder)
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    with pytest.raises(LocalError, match=f"{folder}, the archive of an earlier removal, isn't"):
        prune(marts.dsn, marts.dbt.settings, date(2026, 2, 21), archive=folder)
    assert not (tmp_path / "disk").exists()
    assert ask(marts.dsn, "select count(*) from ledger.prunings") == [(1,)]


def test_an_archive_that_is_empty_is_no_mounted_disk(marts: Marts, tmp_path: Path) -> None:
    """What is written now would be hidden under the disk once it is mounted."""
    folder = tmp_path / "archive"
    pruned(marts, archive=folder)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    with pytest.raises(LocalError, match=f"{folder}, the archive of an earlier removal, is empty"):
        prune(marts.dsn, marts.dbt.settings, date(2026, 2, 21), archive=folder)
    assert ask(marts.dsn, "select count(*) from ledger.prunings") == [(1,)]
    (folder / "moved").touch()
    archiving.require_writable(folder, is_known=True, has_rows=True)


def test_a_removal_goes_on_in_another_folder(marts: Marts, tmp_path: Path) -> None:
    with killed_at(archiving, "_keep_name"):
        pruned(marts, archive=tmp_path / "one")
    said: list[str] = []
    removed = pruned(marts, archive=tmp_path / "two", say=said.append)
    assert removed.rows == {"audit_logs": 13, "mcp_health_log": 6}
    assert said[0] == (
        f"Going on with the removal of rows from before {BEFORE}; "
        f"what went already stays in {tmp_path / 'one'}."
    )
    assert archived(tmp_path / "two") == 13
    pruned(marts, archive=tmp_path / "two", say=said.append)
    assert len([text for text in said if text.startswith("Going on")]) == 1


def test_an_unfinished_removal_is_decided_again_before_it_goes_on(marts: Marts) -> None:
    """Here somebody's hand wrote it, of days that the marts need and rows that no figure holds."""
    forged = (
        "insert into ledger.prunings (before_date, before_at, built_xmin) values"
        " (%s, %s, (select max((figures ->> 'xmin')::bigint) + %s from ledger.runs))"
    )

    def refused(before: str, ahead: int, error: type[OmniledgerError], match: str) -> None:
        ask(marts.dsn, forged, before, before, ahead)
        for act in (look, prune):
            with pytest.raises(error, match=match):
                act(marts.dsn, marts.dbt.settings, date(2026, 2, 1))
        assert ask(marts.dsn, "select count(*) from omni2.audit_logs") == [(22,)]
        ask(marts.dsn, "delete from ledger.prunings")

    refused("2027-01-01", 0, SettingsError, "still needed; .*nobody meant that day, delete row ")
    refused("2026-02-20", 1, NotReadyError, "newer than what is published; `omniledger run`")
    request_at(marts, "2026-02-12 10:00+00", user_id=9, cost_usd="1")
    marts.run()
    ask(marts.dsn, "delete from omni2.audit_logs where id = (select max(id) from omni2.audit_logs)")
    refused("2026-02-20", 0, NotReadyError, "fct_daily_usage of 2026-02-12 isn't published")


def test_what_is_said_names_the_day_that_is_meant(marts: Marts, tmp_path: Path) -> None:
    """An earlier day than that of a removal that was begun, or has ended."""
    earlier = date(2026, 2, 11)

    def said(*options: str) -> str:
        told = omniledger(marts.dsn, "prune", "--before", str(earlier), *options)
        assert told.code == 0, told.refusal
        return told.output

    with killed_at(removing, "_remove"):
        pruned(marts)
    assert "13 rows from before 2026-02-20 would go" in said("--dry-run")
    assert "13 rows removed; those from 2026-02-20 on stay" in said()
    assert "0 rows from before 2026-02-20 would go" in said("--dry-run")
    told = said("--archive", str(tmp_path))
    assert "0 rows removed; those from 2026-02-20 on stay" in told
    assert "They are in" not in told


def test_a_killed_process_leaves_what_a_second_one_ends(marts: Marts) -> None:
    command = [sys.executable, "-m", "omniledger", "prune", "--before", str(BEFORE)]
    environment = {
        **os.environ,
        "DATABASE_URL": marts.dsn.url(),
        "OMNILEDGER_HOME": str(marts.dbt.settings.home),
    }
    with connect(marts.dsn) as writer:
        writer.execute("update omni2.audit_logs set id = id where timestamp >= '2026-02-12'")
        # A run that begins meanwhile is not kept away for as long as rows are removed.
        process = subprocess.Popen(command, env=environment)
        while not ask(
            marts.dsn,
            "select true from pg_stat_activity where datname = %s"
            " and wait_event_type = 'Lock' and query like '%%delete from%%'",
            marts.dsn.dbname,
        ):
            assert process.poll() is None
        with recorded(marts.dsn):
            process.kill()
        process.wait()
        writer.rollback()
    assert "2026-02-10" not in days_of(marts, "audit_logs")
    assert "2026-02-12" in days_of(marts, "audit_logs")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "omni2.audit_logs: 6 rows removed" in done.stdout
    assert days_of(marts, "audit_logs") == list(STAYING)


def test_a_removal_as_a_flow_says_what_went(marts: Marts, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "omniledger", "prune", "--flow"],
        env={
            **os.environ,
            "DATABASE_URL": marts.dsn.url(),
            "OMNILEDGER_HOME": str(tmp_path / "home"),
            "OMNILEDGER_RAW_ARCHIVE": str(tmp_path / "archive"),
            "OMNILEDGER_RAW_KEEP_DAYS": "14",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = f"omni2.audit_logs: 13 rows removed; those from {BEFORE} on stay."
    assert told in done.stdout.splitlines()
    assert done.stdout.endswith(f"They are in {tmp_path / 'archive'}.\n")


def test_what_is_not_published_built_or_billed_is_not_pruned(marts: Marts) -> None:
    def refused(error: type[OmniledgerError], match: str) -> None:
        with pytest.raises(error, match=match):
            pruned(marts)
        assert ask(marts.dsn, "select count(*) from ledger.prunings") == [(0,)]

    with pytest.raises(
        SettingsError, match="last 10 days are still needed; prune before 2026-02-2"
    ):
        prune(marts.dsn, marts.dbt.settings, date(2026, 3, 1))
    began = "update ledger.runs set started_at = %s"
    ask(marts.dsn, began, "2026-02-26 23:00+00")
    refused(NotReadyError, "The last published run was before 2026-02-27")
    ask(marts.dsn, began, "2026-02-27 00:00+00")
    ask(
        marts.dsn,
        "update analytics_build.fct_daily_quota set built_at = now()"
        " where usage_date = '2026-02-12'",
    )
    refused(NotReadyError, "fct_daily_quota of 2026-02-12 isn't published as it was built")
    with connect(marts.dsn, autocommit=True) as connection:
        publish_judged(connection, uuid4())
    request_at(marts, "2026-02-12 10:00+00", user_id=9, cost_usd="1")
    refused(NotReadyError, "1 row of those days came to or left omni2.audit_logs")
    run(marts)
    ask(marts.dsn, "delete from omni2.audit_logs where timestamp = '2026-02-12 11:00+00'")
    refused(NotReadyError, "1 row of those days came to or left omni2.audit_logs")
    run(marts)
    for schema in ("analytics", "analytics_build"):
        ask(marts.dsn, _SETTLED_BILL.format(bill=f"{schema}.fct_bill_reconciliation"))
    refused(NotReadyError, "No settled bill of 2026-02-12 was imported [(]2 such days[)]")
    with recorded(marts.dsn):
        refused(NotReadyError, "Another run is at work")
    assert pruned(marts, unbilled=True).rows["audit_logs"] == 13


def test_more_days_than_there_are_in_a_calendar_are_no_days_to_keep(marts: Marts) -> None:
    assert omniledger(marts.dsn, "prune", "--keep-days", "99999999", "--dry-run").code == 2


def test_rows_that_others_reference_stay_with_what_references_them(marts: Marts) -> None:
    [(kept,)] = ask(marts.dsn, "select min(id) from omni2.audit_logs")
    ask(
        marts.dsn,
        "create table public.votes (audit_id integer primary key references omni2.audit_logs (id)"
        f" on delete cascade); insert into public.votes values ({kept})",
    )
    assert pruned(marts).rows["audit_logs"] == 12
    assert ask(marts.dsn, "select audit_id from public.votes") == [(kept,)]
    assert days_of(marts, "audit_logs") == ["2026-02-09", *STAYING]


def test_the_merge_is_still_proved_when_its_rows_are_pruned(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is published here, which would have to be."""
    dsn = server.state("investigation:upgraded")
    monkeypatch.setattr(removing, "require_still_right", lambda *_, **__: None)
    ask(
        dsn,
        "insert into ledger.prunings (before_date, before_at, built_xmin)"
        " values ('2026-08-01', '2026-08-01', 9000000000000000000)",
    )
    removed = prune(dsn, Settings(home=tmp_path), date(2026, 8, 1))
    assert removed.rows["audit_logs"] > 0
    with connect(dsn) as connection:
        found = verify(connection)
    assert found.holds, (found.certificate, found.damage)
