"""A child process that ends with its parent, however the parent ends.

Its standard input is a pipe from the parent, which the kernel closes when the parent dies, by
SIGKILL too. The child then ends itself and whatever it started.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from omniledger.garbage import collect_seldom

GRACE_SECONDS = 10
"""How long an ending process may take before it is killed."""


def start(
    module: str, *arguments: str, environment: Mapping[str, str], output: IO[Any] | int | None
) -> subprocess.Popen[bytes]:
    """Run a Python module in a process group of its own, tied to this process.

    Args:
        module: what `python -m` would run.
        arguments: its command line.
        environment: all of its environment variables.
        output: where its output goes; None is this process's own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "omniledger.tether", module, *arguments],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, and wait for it."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(leader: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, what)


def main() -> None:
    """Be the child: run the named module until it ends or the parent does."""
    parent = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    collect_seldom()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    while os.read(parent, 1):
        continue
    _signal_group(os.getpgrp(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    _signal_group(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
