"""The record of runs: steps, what was killed, and what a jumping clock can't mix up."""

from __future__ import annotations

import signal
import threading
import time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from omniledger import running
from omniledger.database import Dsn, connect
from omniledger.errors import DatabaseError, NotReadyError
from omniledger.history import PUBLISHING
from omniledger.report import collect, render
from omniledger.runs import Part, recorded
from omniledger.settings import Settings
from tests.alerts.test_events import wrong
from tests.conftest import Server, ask
from tests.killing import begun
from tests.migrations.operator import omniledger
from tests.test_cli import refusal, run

KILLED = """
import sys, threading
from omniledger.database import Dsn
from omniledger.runs import recorded
with recorded(Dsn.parse(sys.argv[1])) as run, run.step("models built"):
    print("at work", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


def walk(dsn: Dsn, verdict: str = "published") -> None:
    with recorded(dsn) as run:
        with run.step("models built") as step:
            step.tell("2 models")
            step.parts = (
                Part("fct_focus", Decimal("1.5"), 7),
                Part("stg_<users>", Decimal("0.1")),
            )
        with run.step(PUBLISHING) as step:
            step.rows = 42
        run.end(verdict)


def test_each_step_and_model_is_timed_and_versions_are_kept(dsn: Dsn) -> None:
    walk(dsn)
    [run] = omniledger(dsn, "runs", "--json").document()
    assert (run["verdict"], run["rows"]) == ("published", 42)
    assert [step["step"] for step in run["steps"]] == ["models built", PUBLISHING]
    built = run["steps"][0]
    assert (built["detail"], built["rows"]) == ("2 models", None)
    assert [(p["name"], p["seconds"], p["rows"]) for p in built["parts"]] == [
        ("fct_focus", "1.5", 7),
        ("stg_<users>", "0.1", None),
    ]
    assert Decimal(run["seconds"]) == sum(Decimal(step["seconds"]) for step in run["steps"])
    assert {"omniledger", "dbt-core", "great-expectations", "prefect", "postgresql", "revision"} < {
        *run["versions"]
    }
    said = omniledger(dsn, "runs").output
    assert "published" in said and "42 rows" in said and "fct_focus  7 rows" in said


def test_the_report_draws_and_lists_them_and_trusts_no_name(dsn: Dsn) -> None:
    walk(dsn)
    walk(dsn)
    with connect(dsn) as connection:
        figures = collect(connection)
    assert [(m.model, m.seconds, m.runs) for m in figures.durations.models] == [
        ("fct_focus", Decimal("1.5"), 2),
        ("stg_<users>", Decimal("0.1"), 2),
    ]
    assert len(figures.durations.steps) == 4
    page = render(figures)
    assert 'aria-label="Seconds that each of the last runs took, by step."' in page
    assert 'download="omniledger-run-models.csv"' in page
    assert "stg_<users>" not in page


def test_a_killed_run_is_not_finished_and_the_next_one_says_so(dsn: Dsn) -> None:
    killed = begun(KILLED, dsn.url(), says="at work")
    assert "  running  " in omniledger(dsn, "runs").output
    with pytest.raises(NotReadyError, match="Another run is at work"), recorded(dsn):
        pass
    assert wrong(dsn, "run") == []
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    give_up = time.monotonic() + 20
    while "  killed  " not in (said := omniledger(dsn, "runs").output):
        assert time.monotonic() < give_up, said
        threading.Event().wait(0.05)
    assert "never ended  models built" in said
    [told] = wrong(dsn, "run")
    assert "was killed before it ended" in told.sentence
    with recorded(dsn) as run:
        # Told once: the next one calls it failed, until it has ended itself.
        assert [one.subject for one in wrong(dsn, "run")] == [told.subject]
        [sentence] = run.after_killed
        assert sentence.endswith("was killed at the step: models built")
        run.end("published")
    [now, before] = omniledger(dsn, "runs", "--json").document()
    assert (now["verdict"], before["verdict"]) == ("published", "failed")
    assert before["reason"] == "It was killed before it ended, at the step: models built."


def test_a_run_whose_lock_is_lost_fails_and_the_next_one_heals(dsn: Dsn) -> None:
    with pytest.raises(DatabaseError), recorded(dsn) as run:
        with run.step("figures judged"):
            ask(
                dsn,
                "select pg_terminate_backend(pid) from pg_locks"
                " where locktype = 'advisory' and pid <> pg_backend_pid() and database ="
                " (select oid from pg_database where datname = current_database())",
            )
        raise AssertionError("it went on without its lock")
    walk(dsn)
    assert ask(dsn, "select verdict from ledger.runs order by started_at") == [
        ("failed",),
        ("published",),
    ]


def test_a_clock_that_was_set_back_puts_no_run_before_an_earlier_one(dsn: Dsn) -> None:
    walk(dsn, "refused")
    ask(dsn, "update ledger.runs set started_at = now() + interval '3 hours', finished_at = null")
    with recorded(dsn) as run:
        assert run.follows_refusal
        run.end("published")
    with recorded(dsn) as run:
        assert not run.follows_refusal
    assert ask(dsn, "select bool_and(finished_at >= started_at) from ledger.runs") == [(True,)]


def test_a_run_that_failed_puts_right_nothing_that_was_refused(dsn: Dsn) -> None:
    walk(dsn, "refused")
    with pytest.raises(NotReadyError), recorded(dsn):
        raise NotReadyError("It came to nothing.")
    [told] = wrong(dsn, "run")
    assert told.sentence.endswith(" UTC failed: It came to nothing")
    with recorded(dsn) as run:
        assert run.follows_refusal
        run.end("published")
    with recorded(dsn) as run:
        assert not run.follows_refusal


def test_a_failure_after_the_figures_are_published_leaves_them_published(dsn: Dsn) -> None:
    with pytest.raises(DatabaseError), recorded(dsn) as run:
        run.end("published")
        with run.step("site built"):
            raise DatabaseError("The page can't be built.")
    assert ask(dsn, "select verdict from ledger.runs") == [("published",)]
    assert ask(dsn, "select detail from ledger.run_steps") == [("it did not end well",)]


def test_a_run_that_is_refused_tells_the_database_no_settings(dsn: Dsn, tmp_path: Path) -> None:
    """Those of the run at work are what the quota check and its figures are read by."""
    named = "select value from ledger.settings where name = 'reporting_timezone'"
    folders = {"OMNILEDGER_HOME": str(tmp_path), "OMNILEDGER_SITE_DIR": str(tmp_path / "site")}
    with recorded(dsn):
        tried = run(
            "run", database=dsn.url(), OMNILEDGER_REPORTING_TIMEZONE="Asia/Tokyo", **folders
        )
    assert "Another run is at work" in refusal(tried, 4)
    assert ask(dsn, named) == [("UTC",)]


def test_a_run_that_fails_at_once_waits_for_what_is_imported_beside_it() -> None:
    """Its page would be made with half a module, and that failure be told in place of the run's."""
    may_end = threading.Event()
    importing = threading.Thread(target=may_end.wait, name=running.IMPORTING)
    waiting = threading.Thread(target=running.wait_for_imports)
    importing.start()
    waiting.start()
    may_end.set()
    waiting.join()
    assert not importing.is_alive()


def test_a_run_whose_lock_is_lost_does_no_step_again(dsn: Dsn, tmp_path: Path) -> None:
    """After a restart of the server another run may have begun."""
    from flows import daily

    with pytest.raises(DatabaseError), recorded(dsn) as run:
        ask(dsn, f"select pg_terminate_backend({run._connection.info.backend_pid}, 5000)")
        for step in (
            lambda: daily.build_models.fn(dsn, Settings(home=tmp_path), run),
            lambda: daily.judge.fn(dsn, Settings(home=tmp_path), run),
            lambda: daily.publish_figures.fn(dsn, run),
        ):
            with pytest.raises(psycopg.OperationalError):
                step()
        run.require_turn()
    assert list(tmp_path.iterdir()) == []
