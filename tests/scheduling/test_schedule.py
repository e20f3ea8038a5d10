"""The schedule as it is: a real Prefect server, a real runner, runs that fire by themselves."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql

from omniledger.database import connect
from omniledger.ports import free_port
from omniledger.scheduling.prefect_server import ask as ask_prefect
from omniledger.settings import PROJECT_DIR
from tests.alerts.test_alerts import Receiver, receiver
from tests.conftest import Server, ask

__all__ = ["receiver"]

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 180


def until(what: Callable[[], Any]) -> Any:
    """Wait for a condition; its value."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (value := what()):
        assert time.monotonic() < give_up, "it did not come true in time"
        threading.Event().wait(0.2)
    return value


class Schedule:
    """`omniledger schedule` on a database, as an operator runs it."""

    def __init__(self, server: Server, home: Path, alerts: str) -> None:
        self.dsn = server.state("investigation:upgraded")
        self.home = home
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("OMNILEDGER_", "PREFECT"))
        }
        self.environment = {
            **clean,
            "DATABASE_URL": self.dsn.url(),
            "OMNILEDGER_HOME": str(home),
            "OMNILEDGER_SITE_DIR": str(home / "site"),
            # As a company's machines have it; nothing of this machine is reached through it.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "OMNILEDGER_ALERTS": alerts,
        }
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "omniledger", "schedule", *arguments]

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            self.command(*arguments, "--port", str(free_port())),
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        path = self.home / "prefect" / "schedule.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def looks(self) -> int:
        """How many runs of the watch, which only the schedule makes, have completed."""
        return self.count("omniledger watch", "COMPLETED")

    def count(self, flow: str, state: str) -> int:
        """How many runs of a flow are in a state, as far as Prefect's server knows and answers."""
        try:
            found = ask_prefect(
                self.state()["api_url"],
                "/flow_runs/count",
                {
                    "flows": {"name": {"any_": [flow]}},
                    "flow_runs": {"state": {"type": {"any_": [state]}}},
                },
            )
        except (OSError, KeyError):
            return 0
        return int(found)

    def prefect(self, *arguments: str, **environment: str) -> None:
        """Prefect's own command line, on the server of the schedule."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env={
                **self.environment,
                **environment,
                "PREFECT_API_URL": self.state()["api_url"],
                "NO_PROXY": "127.0.0.1",
            },
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def deploy(self) -> list[tuple[str, str, str]]:
        """Deploy `prefect.yaml`; each deployment with its pool and the entry of its flow."""
        api = self.state()["api_url"]
        for pool, kind in (("omniledger", "process"), ("omniledger-docker", "docker")):
            ask_prefect(api, "/work_pools/", {"name": pool, "type": kind})
        self.prefect(
            *("--no-prompt", "deploy", "--all"),
            OMNILEDGER_CHECKOUT=str(PROJECT_DIR),
            OMNILEDGER_IMAGE="omniledger:latest",
        )
        found = ask_prefect(api, "/deployments/filter", {"sort": "NAME_ASC"})
        return sorted(
            (one["name"], one["work_pool_name"], one["entrypoint"])
            for one in found
            if one["work_pool_name"]
        )

    def run_by_worker(self, deployment: str) -> str:
        """Have a worker of the process pool do one run; the state that it came to."""
        api = self.state()["api_url"]
        found = ask_prefect(api, f"/deployments/name/{quote(deployment)}")
        run = ask_prefect(api, f"/deployments/{found['id']}/create_flow_run", {})
        self.prefect("worker", "start", "--pool", "omniledger", "--run-once")
        return str(ask_prefect(api, f"/flow_runs/{run['id']}")["state_type"])

    def let_in(self, *, is_open: bool) -> None:
        """Let nobody connect to the database any more, or everybody again."""
        elsewhere = replace(self.dsn, dbname="postgres")
        database = sql.Identifier(self.dsn.dbname)
        with connect(elsewhere, autocommit=True) as connection:
            allow = sql.SQL("alter database {} with allow_connections {}")
            connection.execute(allow.format(database, sql.Literal(is_open)))
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                [self.dsn.dbname],
            )

    def published(self) -> int:
        [(count,)] = ask(self.dsn, "select count(*) from ledger.runs where verdict = 'published'")
        return int(count)


@pytest.fixture
def schedule(server: Server, tmp_path: Path, receiver: Receiver) -> Iterator[Schedule]:
    schedule = Schedule(server, tmp_path, receiver.url.get_secret_value())
    yield schedule
    if schedule.process is not None and schedule.process.poll() is None:
        schedule.process.kill()
        schedule.process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True
    )


def test_runs_fire_by_themselves_also_after_the_server_died(
    schedule: Schedule, receiver: Receiver
) -> None:
    # Each look is a process of its own, which takes seconds: they must not crowd each other out.
    schedule.start("--every", "1d", "--watch-every", "20s")
    until(lambda: schedule.looks() >= 2)
    # The daily run was overdue, and is made up for.
    until(lambda: schedule.published() == 1)
    code, said = schedule.run("--status")
    assert (code, "A schedule is kept by process" in said) == (0, True)
    status = json.loads(schedule.run("--status", "--json")[1])
    assert {run["flow"] for run in status["runs"]} <= {"daily", "watch"}
    assert {run["state"] for run in status["runs"]} >= {"scheduled"}
    code, said = schedule.run("--every", "1d")
    assert (code, "Another schedule is kept" in said) == (8, True)
    assert schedule.deploy() == [
        (name, pool, f"flows/{flow}")
        for name, pool in (("docker", "omniledger-docker"), ("process", "omniledger"))
        for flow in ("daily.py:daily", "merge.py:merge_legacy_audit", "watch.py:watch")
    ]
    assert schedule.run_by_worker("omniledger watch/process") == "COMPLETED"

    first = schedule.state()["server_pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: schedule.state()["server_pid"] != first)
    # The database is away, too.
    schedule.let_in(is_open=False)
    until(lambda: any("the watch can't look" in said["message"] for said in receiver.messages))
    schedule.let_in(is_open=True)
    before = until(schedule.looks)
    until(lambda: schedule.looks() > before)
    over = [said["message"] for said in receiver.messages if "over" in said["title"]]
    assert sum("Over: the watch can't look" in message for message in over) == 1
    # It is not overdue any more.
    assert schedule.published() == 1

    second = schedule.state()["server_pid"]
    assert schedule.process is not None and schedule.process.stderr is not None
    schedule.process.terminate()
    assert schedule.process.wait(PATIENCE_SECONDS) == 0
    assert "The schedule has ended." in schedule.process.stderr.read()
    until(lambda: not is_alive(second))
    assert schedule.run("--status")[0] == 1


def test_a_killed_schedule_leaves_no_process_and_holds_up_no_later_run(schedule: Schedule) -> None:
    verdicts = "select verdict from ledger.runs order by started_at"
    schedule.start("--every", "1d")
    until(lambda: ask(schedule.dsn, verdicts) == [("running",)])
    before = schedule.state()
    assert schedule.process is not None
    schedule.process.kill()
    schedule.process.wait()
    until(lambda: not is_alive(before["server_pid"]))

    schedule.start("--every", "20s")
    until(lambda: schedule.state()["pid"] != before["pid"])
    # It has the database to itself, so nothing is held by the one that was killed.
    until(lambda: ask(schedule.dsn, verdicts) == [("failed",), ("running",)])
    until(lambda: schedule.published() == 1)
    assert schedule.count("omniledger daily", "CRASHED") == 1


def test_the_status_shows_each_flow_and_none_that_is_no_longer_wanted(schedule: Schedule) -> None:
    def flows() -> set[str]:
        status = json.loads(schedule.run("--status", "--json")[1])
        return {run["flow"] for run in status["runs"]}

    schedule.environment["OMNILEDGER_RAW_KEEP_DAYS"] = "400"
    schedule.start("--every", "1d")
    until(lambda: flows() == {"daily", "watch", "prune"})
    assert schedule.process is not None
    schedule.process.terminate()
    schedule.process.wait()
    del schedule.environment["OMNILEDGER_RAW_KEEP_DAYS"]
    schedule.start("--every", "1d")
    until(lambda: flows() == {"daily", "watch"})


def test_what_can_not_be_scheduled_is_one_sentence(schedule: Schedule) -> None:
    code, said = schedule.run("--cron", "every day")
    assert (code, "no cron line" in said, "Traceback" in said) == (2, True, False)
    full = f"ulimit -f 16; exec {shlex.join(schedule.command('--every', '1d'))}"
    done = subprocess.run(
        ["sh", "-c", full],
        env=schedule.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, "can't be written: File too large" in done.stderr) == (8, True)
    schedule.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{free_port()}/api"
    code, said = schedule.run("--every", "1d")
    assert (code, "No Prefect server answers" in said, "Traceback" in said) == (8, True, False)
