"""`omniledger` in processes that are forked from one which has imported everything already.

A run that is a command of its own spends ten seconds on imports and on a Prefect server, and two on
its work. Where the work is what a test is about, the rest need not be done for each.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

from expectations import gate
from omniledger.ports import free_port
from omniledger.scheduling.prefect_server import PrefectServer
from omniledger.settings import PROJECT_DIR, Settings

ALONE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What keeps libraries from threads of their own, which would not survive a fork."""

IMPORTED = (
    # Prefect first: it keeps its loggers from those that the others would set up.
    "flows.daily",
    "flows.merge",
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "altair",
    "vl_convert",
)

TIMEOUT_SECONDS = 300
"""What takes longer has hung, and fails."""


class Warm:
    """The process that is forked from, and a Prefect server for all commands of it."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        from flows.environment import prepare

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "environ", {**environment, **ALONE})
            prepare(Settings(home=home))
            log = home / "prefect" / "warm.log"
            self._prefect = PrefectServer(log, free_port(), schedules=False)
            os.environ["PREFECT_API_URL"] = self._prefect.api_url
            self._prefect.start()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm"],
                cwd=PROJECT_DIR,
                env=os.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self._prefect.wait()

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`omniledger` with these arguments, and environment variables beside those of all."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([arguments, variables]), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT_SECONDS)
        assert ready, f"omniledger {' '.join(arguments)} has hung"
        code, stdout, stderr = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)

    def stop(self) -> None:
        """End both, and a command that has hung."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._prefect.stop()


def main() -> None:
    """Be the process: each line of the input is a command, each of the output what came of it."""
    for module in IMPORTED:
        import_module(module)
    gate.warm_up()
    gc.freeze()
    # Only a process without other threads can be forked safely.
    threads = Path("/proc/self/task")
    assert not threads.exists() or len(list(threads.iterdir())) == 1

    for line in sys.stdin:
        arguments, variables = json.loads(line)
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            child = os.fork()
            if child == 0:
                os.dup2(stdout.fileno(), 1)
                os.dup2(stderr.fileno(), 2)
                become(arguments, variables)
            _, status = os.waitpid(child, 0)
            said = []
            for stream in (stdout, stderr):
                stream.seek(0)
                said.append(stream.read().decode())
        answer = [os.waitstatus_to_exitcode(status), *said]
        print(json.dumps(answer), flush=True)  # noqa: T201


def become(arguments: list[str], variables: dict[str, str]) -> None:
    """Be the command, to the end of this process."""
    from omniledger.__main__ import main as omniledger

    os.environ.update(variables)
    sys.argv = ["omniledger", *arguments]
    omniledger()
    sys.exit()


if __name__ == "__main__":
    main()
