"""Figures that the gate refused: explained, published by force, and recorded for ever."""

import json
import re
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from expectations import gate
from expectations.verdict import Verdict
from omniledger.database import Dsn, connect
from omniledger.errors import GateRefused, NotReadyError, SettingsError
from omniledger.forcing import publish_built, standing_force
from omniledger.inspection.looking import Look
from omniledger.inspection.runs import published
from omniledger.judged import explain
from omniledger.marts import MARTS
from omniledger.report import answers, collect
from omniledger.runs import recorded
from omniledger.settings import Settings
from tests.conftest import Server, ask
from tests.expectations.marts import built_marts, spoil
from tests.test_cli import refusal, run

WHY = "the provider confirmed it"
TOKENS = "update analytics_build.fct_daily_usage set tokens_output = tokens_output + 1"


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return built_marts(server)


def ran(dsn: Dsn, verdict: str, reason: str | None = None) -> UUID:
    """A run that is over."""
    run_id = uuid4()
    ask(
        dsn,
        "insert into ledger.runs (run_id, started_at, finished_at, verdict, reason)"
        " values (%s, clock_timestamp(), clock_timestamp(), %s, %s)",
        run_id,
        verdict,
        reason,
    )
    return run_id


def judged(dsn: Dsn, root: Path, verdict: str = "refused") -> Verdict:
    run_id = ran(dsn, verdict)
    return gate.judge(dsn, run_id, root / "site", root / "home")


def failed(dsn: Dsn, run_id: UUID) -> None:
    """The gate's record of a run that it refused, without the judgement itself."""
    ask(
        dsn,
        "insert into ledger.gate_results (run_id, suite, expectation, severity, passed,"
        " observed, unexpected_count, sample) values"
        " (%s, 'daily_usage', 'No token figure is below zero', 'stop', false, '1 row breaks it',"
        """ 1, '[{"usage_key": "\\u001b[2Jk"}]')""",
        run_id,
    )


def passed(dsn: Dsn, run_id: UUID) -> None:
    ask(
        dsn,
        "insert into ledger.gate_results (run_id, suite, expectation, severity, passed)"
        " values (%s, 'daily_usage', 'All is well', 'stop', true)",
        run_id,
    )


def test_what_was_refused_is_explained_published_by_force_and_told(
    dsn: Dsn, tmp_path: Path
) -> None:
    spoil(dsn, f"{TOKENS} where usage_date = '2026-03-01' and user_id = 1 and requests > 0")
    verdict = judged(dsn, tmp_path)
    site = {"OMNILEDGER_SITE_DIR": str(tmp_path / "site")}

    explained = run("gate", "explain", str(verdict.run_id)[:8], database=dsn.url(), **site)

    assert explained.returncode == 5
    assert "expected  Each day's sums equal the control totals" in explained.stdout
    assert "seen      1 row breaks it" in explained.stdout
    assert "row       usage_date 2026-03-01, figure tokens_output" in explained.stdout
    assert "do        Find out who or what changed analytics_build.fct_daily" in explained.stdout
    page = re.search(r"page +(\S+)", explained.stdout)
    assert page is not None
    assert "2026-03-01" in Path(page[1]).read_text()
    with connect(dsn) as connection:
        told = json.loads(json.dumps(explain(connection, "last", tmp_path).document(), default=str))
    assert (told["verdict"], told["run"]["run_id"]) == ("refused", str(verdict.run_id))
    assert told["failed"][0]["sample"][0]["usage_date"] == "2026-03-01"
    assert told["forced"] is told["standing_by_force"] is None

    done = run("publish", "last", "--force", "--why", WHY, database=dsn.url(), **site)

    assert done.returncode == 0, done.stderr
    [(by, why, overridden, days, rows)] = ask(
        dsn,
        "select forced_by, why, overridden, days, rows_published from ledger.forced_publications"
        " where run_id = %s",
        verdict.run_id,
    )
    assert (by, why) == (dsn.user, WHY)
    assert sorted(one["expectation"] for one in overridden) == sorted(
        failure.expectation for failure in verdict.failures
    )
    assert days["fct_daily_usage"] == [f"2026-03-0{day}" for day in range(1, 6)]
    assert rows == sum(
        ask(dsn, f"select count(*) from analytics.{mart.name}")[0][0] for mart in MARTS
    )
    said = f"by {dsn.user}: {WHY}"
    with connect(dsn) as connection:
        again = explain(connection, "last", tmp_path).text()
    assert re.search(rf"They were published by force at \S+ \S+ UTC {said}", again)
    report = (tmp_path / "site" / "index.html").read_text()
    assert "These figures were published by force" in report
    assert WHY in report


def test_forced_figures_are_called_so_until_a_run_is_published(dsn: Dsn) -> None:
    first = ran(dsn, "refused")
    failed(dsn, first)
    publish_built(dsn, why=WHY)
    second = ran(dsn, "refused", "The gate refused the figures.")
    failed(dsn, second)

    with connect(dsn) as connection:
        told = explain(connection, str(second), Path("nowhere"))
        assert told.forced is None
        # What strangers wrote moves no terminal.
        assert "row       usage_key [U+001B][2Jk" in told.text()
        assert f"Readers see the run {first}, published by force" in told.text()
        connection.rollback()
        figures = collect(connection)
    assert figures.runs.forced is not None
    assert answers.freshness(figures.runs, figures.read_at).tone == "bad"

    ran(dsn, "published")
    with connect(dsn) as connection:
        assert standing_force(connection) is None
        told = explain(connection, str(first), Path("nowhere"))
        assert told.forced is not None
        assert told.forced.why == WHY
        connection.rollback()
        figures = collect(connection)
    assert figures.runs.forced is None
    # What was done stays told.
    assert figures.runs.by_force[0].why == WHY


def test_force_needs_a_reason_and_a_whole_build_that_was_refused(dsn: Dsn, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="Nothing is built yet"):
        publish_built(dsn, why=WHY)
    cut_off = ran(dsn, "failed", "The model fct_focus failed.")
    with pytest.raises(NotReadyError, match="were not judged"):
        publish_built(dsn, why=WHY)
    refused = ran(dsn, "refused")
    failed(dsn, refused)
    with pytest.raises(SettingsError, match="say why"):
        publish_built(dsn, why=" \t")
    with pytest.raises(NotReadyError, match=f"{refused} began after {cut_off}"):
        publish_built(dsn, str(cut_off), why=WHY)
    with recorded(dsn), pytest.raises(NotReadyError, match="Another run is at work"):
        publish_built(dsn, why=WHY)
    # The run that was at work has built, and was judged, but nothing of it was refused.
    [(fine,)] = ask(dsn, "select run_id from ledger.runs order by started_at desc limit 1")
    passed(dsn, fine)
    with pytest.raises(NotReadyError, match="without --force"):
        publish_built(dsn, why=WHY)
    assert ask(dsn, "select to_regclass('analytics.fct_daily_usage')") == [(None,)]
    assert ask(dsn, "select count(*) from ledger.forced_publications") == [(0,)]
    assert publish_built(dsn)[1].rows > 0
    again = run("publish", database=dsn.url(), OMNILEDGER_SITE_DIR=str(tmp_path))
    assert f"Published the run {fine}: readers had all that it built already." in again.stdout
    assert ask(dsn, "select verdict from ledger.runs where run_id = %s", fine) == [("published",)]


def test_the_record_of_force_is_told_and_can_not_be_changed(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    ask(
        dsn,
        "insert into ledger.forced_publications (run_id, why, overridden, days, rows_published)"
        " values (%s, 'so', '[]', '{}', 1)",
        uuid4(),
    )
    ran(dsn, "refused", "The gate refused the figures.")
    with connect(dsn, autocommit=True) as connection:
        assert published(Look(connection, Settings())).meaning.endswith("because: so")
    for statement in (
        "update ledger.forced_publications set why = 'not I'",
        "delete from ledger.forced_publications",
        "truncate ledger.forced_publications",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="kept for ever"):
            ask(dsn, statement)
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(
            dsn,
            "insert into ledger.forced_publications (run_id, why, overridden, days,"
            " rows_published) values (gen_random_uuid(), ' ', '[]', '{}', 1)",
        )


def test_a_run_that_is_no_run_is_one_sentence(dsn: Dsn) -> None:
    url = dsn.url()
    assert "has not judged a run yet" in refusal(run("gate", "explain", database=url), 4)
    assert "its reason" in refusal(run("publish", "--force", database=url), 2)
    cut_off = ran(dsn, "failed", "The model fct_focus failed.")
    with connect(dsn) as connection:
        for named, error, said in (
            ("%", SettingsError, "is no run"),
            ("abcd", NotReadyError, "There is no run abcd"),
            (str(cut_off)[:8], NotReadyError, "never judged: The model fct_focus failed"),
        ):
            with pytest.raises(error, match=said):
                explain(connection, named, Path("nowhere"))


def test_refused_figures_are_not_published_without_force(dsn: Dsn) -> None:
    failed(dsn, ran(dsn, "refused"))
    with pytest.raises(GateRefused, match="omniledger gate explain"):
        publish_built(dsn)
