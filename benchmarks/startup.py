"""How long a person waits: `make run` cold, a second run, `--help`, an upgrade with nothing to do;
and what the watch takes, as the scheduler starts it.

    .venv/bin/python benchmarks/startup.py [--cold]

`--cold` also clones the checkout into an empty folder and times `make run` there, set-up included
(with a warm package cache). Each figure is the median of its runs; one process runs at a time.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from omniledger.ports import free_port
from omniledger.scheduling.prefect_server import PrefectServer

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

WATCH = """
from flows.environment import prepare
from omniledger.settings import get_settings
prepare(get_settings())
from flows.watch import watch
watch()
"""


def timed(*command: str | Path, runs: int = 3, **environment: str) -> float:
    """Median seconds of a command that must succeed."""
    took = []
    for _ in range(runs):
        began = time.monotonic()
        subprocess.run(
            command, env={**os.environ, **environment}, check=True, capture_output=True, cwd=PROJECT
        )
        took.append(time.monotonic() - began)
    return statistics.median(took)


def watched(**place: str) -> tuple[float, float]:
    """Median seconds of the watch on its schedule, start included, and its greatest memory, MB."""
    with tempfile.TemporaryDirectory() as folder:
        home = {"PREFECT_HOME": folder}
        server = PrefectServer(Path(folder) / "server.log", free_port(), schedules=False)
        server.start()
        server.wait()
        environment = {**os.environ, **place, **home, "PREFECT_API_URL": server.api_url}
        runs = []
        for _ in range(5):
            began = time.monotonic()
            process = subprocess.Popen([sys.executable, "-c", WATCH], env=environment, cwd=PROJECT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise SystemExit("the watch failed")
            runs.append((time.monotonic() - began, usage.ru_maxrss / 1024))
        server.stop()
    return statistics.median(seconds for seconds, _ in runs), max(memory for _, memory in runs)


def show(what: str, seconds: float, goal: float) -> None:
    print(f"{what:<48} {seconds:8.2f} s   goal {goal:g} s", flush=True)


def cold() -> float:
    """`make run` in a fresh clone with an empty home for Prefect and the embedded database."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "omniledger"
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        clean = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "DATABASE_URL")}
        began = time.monotonic()
        subprocess.run(["make", "run"], cwd=clone, env=clean, check=True, capture_output=True)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    if arguments.cold:
        show("make run, fresh clone, warm package cache", cold(), 60)
    omniledger = BIN / "omniledger"
    show("omniledger --help", timed(omniledger, "--help", runs=7), 0.3)
    home = tempfile.mkdtemp()
    place = {"OMNILEDGER_HOME": home, "OMNILEDGER_SITE_DIR": f"{home}/site", "DATABASE_URL": ""}
    try:
        subprocess.run(
            [omniledger, "db", "start"], env={**os.environ, **place}, check=True, cwd=PROJECT
        )
        show(
            "omniledger demo, first, on a running database",
            timed(omniledger, "demo", runs=1, **place),
            60,
        )
        show("omniledger run, second, on a running database", timed(omniledger, "run", **place), 15)
        show(
            "alembic upgrade head, nothing to do",
            timed(BIN / "alembic", "upgrade", "head", runs=5, **place),
            1,
        )
        seconds, memory = watched(**place)
        show(f"the watch, which takes {memory:.0f} MB of 300", seconds, 3)
    finally:
        subprocess.run([omniledger, "db", "stop"], env={**os.environ, **place}, check=True)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
