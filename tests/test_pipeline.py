"""The whole way as a user walks it: the command, real requests, the figures, the pages."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from omniledger.database import Dsn
from omniledger.demo.load import SAMPLE
from tests.browser import Seen
from tests.conftest import ask

pytestmark = pytest.mark.slow

FINGERPRINT = """
    select md5(string_agg(u::text, '|' order by u::text)) from analytics.fct_daily_usage as u
    union all
    select md5(string_agg(t::text, '|' order by t::text)) from analytics.fct_daily_tool_usage as t
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
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    @property
    def dsn(self) -> Dsn:
        return Dsn.parse(self.omniledger("db", "url").strip())


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


def test_every_old_row_is_accounted_for(dsn: Dsn) -> None:
    [(total, parts, quarantined, matched, holds)] = ask(
        dsn,
        "select rows_total, rows_copied + rows_matched + rows_quarantined, rows_quarantined,"
        " rows_matched, holds from ledger.merge_runs",
    )
    assert (total, parts, quarantined, holds) == (raw()[0] + 3, total, 3, True)
    assert matched > 0


def test_a_second_run_changes_nothing(place: Place, dsn: Dsn) -> None:
    before = ask(dsn, FINGERPRINT)
    place.omniledger("run")
    assert ask(dsn, FINGERPRINT) == before


def test_a_late_row_changes_its_day_only(place: Place, dsn: Dsn) -> None:
    stamps = "select usage_date, max(built_at) from analytics.fct_daily_usage group by 1"
    before = dict(ask(dsn, stamps))
    day = sorted(before)[1]
    ask(
        dsn,
        "insert into audit_logs (message, tokens_input, tokens_output, created_at)"
        " values ('late', 7, 1, %s::date + time '18:30')",
        day,
    )
    place.omniledger("run")
    after = dict(ask(dsn, stamps))
    assert {d for d in before if after[d] != before[d]} == {day}
    [(tokens,)] = ask(dsn, "select sum(tokens_input)::bigint from analytics.fct_daily_usage")
    assert tokens == raw()[1] + 7


def test_a_refused_run_publishes_nothing_and_says_so(place: Place, dsn: Dsn) -> None:
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
    said = place.omniledger("run", code=5)
    assert "The gate refused the figures" in said
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
    place.omniledger("run")
    [(tokens,)] = ask(dsn, "select sum(tokens_input)::bigint from analytics.fct_daily_usage")
    assert tokens == raw()[1]


def test_inspect_finds_all_in_order(place: Place, dsn: Dsn) -> None:
    assert "drift" not in place.omniledger("inspect")


def test_the_pages_open_without_an_error(
    place: Place, shown: str, look: Callable[..., Seen]
) -> None:
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


def test_another_trace_gives_its_own_sums(place: Place, tmp_path: Path) -> None:
    trace = tmp_path / "mine.csv"
    trace.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-02-29 23:59:59.9999990,1000,10\n"
        "2024-03-01 00:00:00.0000000,2000,20\n"
    )
    said = place.omniledger("demo", "--trace", str(trace))
    assert "$0.00252" in said
    assert ask(
        place.dsn,
        "select usage_date::text, sum(tokens_input)::bigint"
        " from analytics.fct_daily_usage where requests > 0 group by 1 order by 1",
    ) == [("2024-02-29", 1000), ("2024-03-01", 2000)]
