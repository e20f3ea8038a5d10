"""The whole way as a user walks it: the command, real requests, the figures, the pages."""

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from omniledger.database import Dsn
from omniledger.demo.load import SAMPLE
from omniledger.settings import Settings
from tests.browser import Look
from tests.conftest import Server, ask
from tests.migrations.operator import CERTIFICATE, put_off
from tests.models.conftest import Dbt
from tests.test_cli import run
from tests.warm import Warm

pytestmark = pytest.mark.slow

BUILDING = "models built"
STEPS = (
    "people and limits noted",
    "prices loaded",
    BUILDING,
    "figures judged",
    "figures published",
    "model docs written",
    "site built",
)

FINGERPRINT = """
    select md5(string_agg(u::text, '|' order by u::text)) from analytics.fct_daily_usage as u
    union all
    select md5(string_agg(t::text, '|' order by t::text)) from analytics.fct_daily_tool_usage as t
    union all
    select md5(string_agg(s::text, '|' order by s::text)) from analytics.fct_daily_mcp_cost as s
    union all
    select md5(string_agg(h::text, '|' order by h::text)) from analytics.fct_daily_health as h
"""


@dataclass(frozen=True)
class Place:
    """A user's folder for state and pages, and the command run there."""

    home: Path
    site: Path
    environment: dict[str, str]

    def omniledger(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "omniledger", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return said_by(done, code)

    @property
    def dsn(self) -> Dsn:
        return Dsn.parse(self.omniledger("db", "url").strip())


def said_by(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    """All that a command said, once it is what it should be."""
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("user")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMNILEDGER_", "PREFECT_", "DBT_", "PG", "DATABASE_URL"))
    }
    environment = {
        **clean,
        "OMNILEDGER_HOME": str(root / "state"),
        "OMNILEDGER_SITE_DIR": str(root / "site"),
    }
    place = Place(root / "state", root / "site", environment)
    place.omniledger("db", "start")
    yield place
    place.omniledger("db", "stop")


@pytest.fixture(scope="module")
def shown(place: Place) -> str:
    """What the demo prints, over three days so that one day can change and others not."""
    return place.omniledger("demo", "--days", "3")


@pytest.fixture(scope="module")
def dsn(place: Place, shown: str) -> Dsn:
    return place.dsn


@pytest.fixture(scope="module")
def warm(place: Place, shown: str) -> Iterator[Warm]:
    """For the runs after the first, which was a command of its own."""
    warm = Warm(place.home, place.environment)
    yield warm
    warm.stop()


def raw() -> tuple[int, int, int, Decimal]:
    """Requests, tokens in and out, and their cost, from the file itself."""
    with SAMPLE.open() as file:
        rows = [(int(r["ContextTokens"]), int(r["GeneratedTokens"])) for r in csv.DictReader(file)]
    tokens_in, tokens_out = sum(i for i, _ in rows), sum(o for _, o in rows)
    cost = (tokens_in * Decimal("0.80") + tokens_out * Decimal("4.00")) / 1_000_000
    return len(rows), tokens_in, tokens_out, cost


def test_the_marts_hold_what_the_file_holds_to_the_last_digit(dsn: Dsn) -> None:
    totals = ask(
        dsn,
        "select sum(requests)::bigint, sum(tokens_input)::bigint, sum(tokens_output)::bigint,"
        " sum(cost_recomputed_usd) from analytics.fct_daily_usage",
    )
    assert totals == [raw()]


def test_the_tests_of_the_models_pass(place: Place, dsn: Dsn) -> None:
    dbt = Dbt(Settings(home=place.home))
    said = dbt(dsn, "test", "--exclude-resource-type", "unit_test")
    tested = [result for result in said if result.node.resource_type == "test"]
    assert len(tested) > 50
    assert {str(result.status) for result in tested} == {"pass"}


def test_recorded_cost_differs_only_by_what_the_old_column_rounded(dsn: Dsn) -> None:
    [(recorded, difference, requests)] = ask(
        dsn,
        "select sum(cost_recorded_usd), sum(cost_difference_usd), sum(requests)"
        " from analytics.fct_daily_usage",
    )
    assert recorded - raw()[3] == difference
    assert abs(difference) <= requests * Decimal("0.0000005")


def test_the_summary_and_the_report_say_it(place: Place, shown: str) -> None:
    requests, tokens_in, tokens_out, cost = raw()
    page = (place.site / "index.html").read_text()
    for figure in (
        f"{requests:,}",
        f"{tokens_in:,}",
        f"{tokens_out:,}",
        f"${cost.normalize():f}",
    ):
        assert figure in shown
        assert figure in page


def test_raw_rows_marts_exports_and_report_have_the_same_totals(
    place: Place, dsn: Dsn, shown: str, tmp_path: Path
) -> None:
    _, tokens_in, tokens_out, cost = raw()
    tokens = tokens_in + tokens_out
    assert ask(
        dsn,
        "select count(*), sum(tokens_input)::bigint, sum(tokens_output)::bigint,"
        " sum(tokens_input * 0.80 + tokens_output * 4.00) / 1000000"
        " from omni2.audit_logs where tokens_input is not null",
    ) == [raw()]
    by_server = "select sum(tokens_total)::bigint, sum(cost_recomputed_usd)"
    assert ask(dsn, f"{by_server} from analytics.fct_daily_mcp_cost") == [(tokens, cost)]

    for name, read in (("focus.csv", read_csv), ("focus.parquet", read_parquet)):
        said = json.loads(place.omniledger("export", "focus", str(tmp_path / name), "--json"))
        rows = read(tmp_path / name)
        assert (said["rows"], Decimal(said["billed"])) == (len(rows), cost)
        kinds = {
            kind: sum(int(row["x_Tokens"]) for row in rows if row["x_TokenKind"] == kind)
            for kind in ("input", "output")
        }
        assert kinds == {"input": tokens_in, "output": tokens_out}
        assert sum(Decimal(row["BilledCost"]) for row in rows) == cost

    page = (place.site / "index.html").read_text()
    for name in ("usage-by-day", "usage-by-model", "usage-by-user", "usage-by-source"):
        rows = csv_in(page, name)
        assert (
            sum(int(row["requests"]) for row in rows),
            sum(int(row["tokens_input"] or 0) for row in rows),
            sum(int(row["tokens_output"] or 0) for row in rows),
            sum(Decimal(row["cost_recomputed_usd"] or 0) for row in rows),
        ) == raw()
    rows = csv_in(page, "cost-by-server")
    assert sum(int(row["tokens_total"]) for row in rows) == tokens
    assert sum(Decimal(row["cost_recomputed_usd"]) for row in rows) == cost


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]


def csv_in(page: str, name: str) -> list[dict[str, str]]:
    """The rows of a table that the report holds as CSV."""
    [data] = re.findall(f'download="omniledger-{name}.csv" href="data:[^,]*,([^"]*)"', page)
    return list(csv.DictReader(io.StringIO(unquote(data).removeprefix("\ufeff"))))


def test_every_old_row_is_accounted_for(dsn: Dsn) -> None:
    [(total, parts, quarantined, matched, holds)] = ask(
        dsn,
        "select rows_total, rows_copied + rows_matched + rows_quarantined, rows_quarantined,"
        " rows_matched, holds from ledger.merge_runs",
    )
    assert (total, parts, quarantined, holds) == (raw()[0] + 3, total, 3, True)
    assert matched > 0


def test_what_a_run_took_is_recorded_and_left_in_prefect(place: Place, shown: str) -> None:
    [run] = json.loads(place.omniledger("runs", "--json", "--limit", "1"))
    assert run["verdict"] == "published"
    assert [step["step"] for step in run["steps"]] == list(STEPS)
    models = {part["name"] for part in run["steps"][STEPS.index(BUILDING)]["parts"]}
    assert {"fct_daily_usage", "stg_audit_logs", "dim_users"} < models
    left = artifacts(place)
    assert {"summary", "models", "figures", "report", "progress"} <= set(left)
    assert float(left["progress"]) == 100
    assert run["run_id"] in left["summary"] and "It was published." in left["summary"]
    assert recorded(place, "select message from log where level >= 30") == []
    assert (
        'aria-label="Seconds that each of the last runs took, by step."'
        in (place.site / "index.html").read_text()
    )


def steps_told(place: Place, said: str) -> list[str]:
    """The steps of the last run, as its lines of JSON name them."""
    [run] = json.loads(place.omniledger("runs", "--json", "--limit", "1"))
    events = [json.loads(line) for line in said.splitlines()]
    return [event["event"] for event in events if event["run"] == run["run_id"]]


def artifacts(place: Place) -> dict[str, str]:
    """What runs left in Prefect last, by key."""
    return dict(recorded(place, "select key, data from artifact order by created"))


def recorded(place: Place, query: str) -> list[Any]:
    """What Prefect's own server has kept."""
    with closing(sqlite3.connect(place.home / "prefect" / "prefect.db")) as records:
        return records.execute(query).fetchall()


FAULTS = """
    create schema fault;
    create function fault.once() returns trigger language plpgsql as $$
    begin
        if nextval(format('fault.%I', tg_argv[0])) = 1 then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
        return coalesce(new, old);
    end $$;
"""

TOUCHED = {
    "looking": "ledger.settings",
    "building": "analytics_build.fct_daily_usage",
    "judging": "ledger.gate_results",
    "publishing": "analytics.fct_daily_usage",
}
"""A table that each step writes first."""


def lose_connections_once(dsn: Dsn) -> None:
    """End the session of each step, in the middle of it, the first time that it writes."""
    ask(dsn, FAULTS)
    for step, table in TOUCHED.items():
        ask(
            dsn,
            f"create sequence fault.{step};"
            f"create trigger lose before insert or update or delete on {table}"
            f" for each row execute function fault.once('{step}')",
        )


def test_a_late_row_changes_its_day_only_though_the_database_goes_away_in_each_step(
    place: Place, dsn: Dsn, warm: Warm
) -> None:
    stamps = "select usage_date, max(built_at) from analytics.fct_daily_usage group by 1"
    before = dict(ask(dsn, stamps))
    day = sorted(before)[1]
    ask(
        dsn,
        "insert into audit_logs (message, tokens_input, tokens_output, created_at)"
        " values ('late', 7, 1, %s::date + time '18:30')",
        day,
    )
    lose_connections_once(dsn)
    said = said_by(warm.run("run"))
    assert said.count("Trying again.") == len(TOUCHED)
    ask(dsn, "drop schema fault cascade")
    after = dict(ask(dsn, stamps))
    assert {d for d in before if after[d] != before[d]} == {day}
    [(tokens,)] = ask(dsn, "select sum(tokens_input)::bigint from analytics.fct_daily_usage")
    assert tokens == raw()[1] + 7


def test_a_refused_run_publishes_nothing_and_says_so(place: Place, dsn: Dsn, warm: Warm) -> None:
    before = ask(dsn, FINGERPRINT)
    ask(
        dsn,
        "create function analytics_build.spoil() returns trigger language plpgsql as"
        " $$ begin new.tokens_input := new.tokens_input + 1; return new; end $$;"
        "create trigger spoil before insert on analytics_build.fct_daily_usage"
        " for each row execute function analytics_build.spoil()",
    )
    ask(
        dsn,
        "insert into audit_logs (message, tokens_input, created_at)"
        " select 'odd', 7, min(created_at) from audit_logs",
    )
    said = said_by(warm.run("run"), code=5)
    assert "The gate refused the figures" in said
    assert "Trying again." not in said
    assert "It was not published: The gate refused" in artifacts(place)["summary"]
    assert ask(dsn, FINGERPRINT) == before
    assert "refused" in (place.site / "index.html").read_text().lower()
    assert "row       usage_date" in place.omniledger("gate", "explain", code=5)
    place.omniledger("alerts", "look")
    assert "The gate refused the figures" in place.omniledger("alerts", "list")
    assert ask(dsn, "select verdict from ledger.runs order by started_at desc limit 1") == [
        ("refused",)
    ]
    ask(dsn, "drop function analytics_build.spoil cascade")
    ask(dsn, "delete from audit_logs where message in ('late', 'odd')")
    said = said_by(warm.run("run", "--log-format", "json"))
    assert steps_told(place, said) == list(STEPS)
    [(tokens,)] = ask(dsn, "select sum(tokens_input)::bigint from analytics.fct_daily_usage")
    assert tokens == raw()[1]


def test_a_run_without_news_changes_nothing_and_is_published_though_docs_can_not_be_written(
    place: Place, dsn: Dsn, warm: Warm
) -> None:
    before = ask(dsn, FINGERPRINT)
    catalog = place.home / "dbt" / "target" / "catalog.json"
    catalog.unlink()
    catalog.mkdir()
    said = said_by(warm.run("run", "--log-format", "json"), code=8)
    catalog.rmdir()
    assert ask(dsn, FINGERPRINT) == before
    [run] = json.loads(place.omniledger("runs", "--json", "--limit", "1"))
    assert run["verdict"] == "published"
    assert [step["step"] for step in run["steps"]] == list(STEPS[:-1])
    assert "It was published, but not shown: dbt can't write" in artifacts(place)["summary"]
    assert steps_told(place, said) == list(STEPS[:-2])


def test_inspect_finds_all_in_order(place: Place, dsn: Dsn) -> None:
    assert "drift" not in place.omniledger("inspect")


def test_the_pages_open_without_an_error(place: Place, shown: str, look: Look) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "omniledger", "site", "serve", "--port", "0"],
        env=place.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", serving.stdout.readline())
        assert address is not None
        for page in ("/", "/models/", "/data_docs/"):
            seen = look(address[0] + page)
            assert seen.complaints == []
            assert [u for u in seen.requests if not u.startswith((address[0], "data:"))] == []
    finally:
        serving.terminate()
        serving.wait()


def test_no_password_is_in_anything_that_was_written(place: Place, shown: str) -> None:
    password = place.dsn.password
    assert password
    for folder in (place.site, place.home / "dbt", place.home / "prefect"):
        for path in folder.rglob("*"):
            if path.is_file():
                assert password.encode() not in path.read_bytes(), path
    assert password not in shown


def test_the_flow_merges_too_and_shows_its_progress(server: Server, warm: Warm) -> None:
    dsn = put_off(server)
    done = warm.run("merge", "run", "--flow", DATABASE_URL=dsn.url())
    assert dsn.password not in said_by(done)
    assert done.stdout.strip() == f"{CERTIFICATE}."


def test_a_tenant_runs_it_all_too(tenant: Dsn, warm: Warm, tmp_path: Path) -> None:
    legacy = {"OMNILEDGER_LEGACY_SCHEMA": "gateway"}
    here = {
        **legacy,
        "DATABASE_URL": tenant.url(),
        "OMNILEDGER_HOME": str(tmp_path / "state"),
        "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
    }
    said_by(run("upgrade", "head", database=tenant.url(), program="alembic", **legacy))
    ask(
        tenant,
        "insert into omni2.audit_logs (timestamp, question, user_id, llm_tokens_used, cost_usd)"
        " values (now(), 'whose?', null, 30, 0.5)",
    )
    said_by(warm.run("run", **here))
    assert ask(
        tenant,
        "select requests, tokens_total, cost_recorded_usd from analytics.fct_daily_usage"
        " where requests > 0",
    ) == [(1, 30, Decimal("0.5"))]
    assert "$0.50" in (tmp_path / "site" / "index.html").read_text()
    assert [r["verdict"] for r in json.loads(warm.run("runs", "--json", **here).stdout)] == [
        "published"
    ]


def test_a_site_that_cannot_be_written_is_told_before_the_models(
    server: Server, warm: Warm, tmp_path: Path
) -> None:
    dsn = server.new(server.state("empty:upgraded").dbname)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "data_docs").write_text("a file where the folder should be")
    here = {
        "DATABASE_URL": dsn.url(),
        "OMNILEDGER_HOME": str(tmp_path / "state"),
        "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
    }
    said = said_by(warm.run("run", **here), 8)
    assert "set OMNILEDGER_SITE_DIR to another" in said
    assert ask(dsn, "select verdict, reason like 'The site can%' from ledger.runs") == [
        ("failed", True)
    ]
    assert ask(dsn, "select from ledger.run_steps") == []


def test_another_trace_gives_its_own_sums(place: Place, warm: Warm, tmp_path: Path) -> None:
    trace = tmp_path / "mine.csv"
    # A spreadsheet begins a file with a mark, and people end it with an empty line.
    trace.write_text(
        "\ufeffTIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-02-29 23:59:59.9999990,1000,10\n"
        "2024-03-01 00:00:00.0000000,2000,20\n"
        "\n",
        encoding="utf-8",
    )
    said = said_by(warm.run("demo", "--trace", str(trace)))
    assert "$0.00252" in said
    assert ask(
        place.dsn,
        "select usage_date::text, sum(tokens_input)::bigint"
        " from analytics.fct_daily_usage where requests > 0 group by 1 order by 1",
    ) == [("2024-02-29", 1000), ("2024-03-01", 2000)]
