"""A Prefect server of our own on loopback, tied to this process."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from omniledger import tether
from omniledger.embedded import locks
from omniledger.errors import LocalError
from omniledger.files import require_room
from omniledger.masking import masked
from omniledger.ports import LOOPBACK, keep_from_proxy

NEEDED = "3"
"""The one major version of a server that our Prefect can speak to."""

SERVED = DAILY, WATCH, PRUNE = "daily", "watch", "prune"
"""The deployments of our own runner."""

SILENT = "CRITICAL"
"""The level at which Prefect says nothing."""

READY_SECONDS = 180
"""How long a server may take to come up on a busy machine."""

_POLL_SECONDS = 0.1

_LOCK = "server.lock"
"""The lock of the one server that is coming up."""

_LITTLE = 1 << 20
"""Bytes that a server's state takes at least."""

_BUSY_PAUSES = (0.2, 0.5, 1, 2)
"""Between tries where the server's own database was busy, of which it says 503, so that its clients
ask again."""

_AT_WORK = {
    "deployments": {"name": {"any_": [*SERVED]}},
    "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}},
}

_UNSCHEDULED = {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in (
        "SCHEDULER",
        "LATE_RUNS",
        "FOREMAN",
        "PAUSE_EXPIRATIONS",
        "CANCELLATION_CLEANUP",
        "REPOSSESSOR",
        "TRIGGERS",
    )
} | {"PREFECT_SERVER_UI_ENABLED": "false"}
"""What a server that serves one run only need not do."""

_TOLD = ("PREFECT_SERVER_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL")
"""The levels of what a server says."""


def ask(api_url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer of a Prefect API, read from JSON.

    Raises:
        OSError: it can't be reached, or says no.
    """
    keep_from_proxy()
    request = urllib.request.Request(  # noqa: S310 (the operator's own address)
        f"{api_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **_authorization()},
    )
    for pause in _BUSY_PAUSES:
        try:
            return _answer(request)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        time.sleep(pause)
    return _answer(request)


def _answer(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def _authorization() -> dict[str, str]:
    """What Prefect's own client would send, by the same variables."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if user := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
    return {}


def close_killed(api_url: str) -> None:
    """Close the runs of our own deployments that Prefect takes for at work; their runner is gone.

    Each would hold the one place of its deployment for ever, and every later run be cancelled.

    Raises:
        LocalError: the server doesn't answer.
    """
    ended = {"state": {"type": "CRASHED", "message": "It was killed with what ran it."}}
    try:
        for run in ask(api_url, "/flow_runs/filter", _AT_WORK):
            ask(api_url, f"/flow_runs/{run['id']}/set_state", ended)
    except OSError as error:
        raise LocalError(
            f"Prefect's server did not take what became of earlier runs ({error}); start the "
            "schedule again."
        ) from None


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect API answers."""
    try:
        return bool(ask(api_url, "/health"))
    except (OSError, ValueError):
        return False


def problem_of(api_url: str) -> str | None:
    """Why the operator's own server can't be used, and what to do; None where it can."""
    if not is_healthy(api_url):
        return no_answer(api_url)
    try:
        version = str(ask(api_url, "/admin/version"))
    except (OSError, ValueError):
        # Prefect's cloud has no version to tell, and is as new as can be.
        return None
    if version.partition(".")[0] == NEEDED:
        return None
    return (
        f"The Prefect server at PREFECT_API_URL ({masked(api_url)}) is version {version}, and "
        f"omniledger needs {NEEDED}; upgrade it, or unset the variable to use one of our own."
    )


def require_usable(api_url: str) -> None:
    """Refuse a server of the operator's that can't be used.

    Raises:
        LocalError: it does not answer, or is of another time.
    """
    if problem := problem_of(api_url):
        raise LocalError(problem)


def no_answer(api_url: str) -> str:
    """What is wrong where the operator's own server does not answer, and what to do."""
    return (
        f"No Prefect server answers at PREFECT_API_URL ({masked(api_url)}); start it, or unset the "
        "variable to use one of our own."
    )


def unwritable(path: Path, error: OSError) -> LocalError:
    """What is wrong where our own state can't be written, and what to do."""
    return LocalError(
        f"{path} can't be written: {error.strerror}; set OMNILEDGER_HOME to another folder."
    )


class PrefectServer:
    """The server process; `start` it, `wait` for it, `stop` it.

    Of several on one folder one comes up at a time: two would make the same database at once, and
    one of them fail.

    Args:
        log: the file that takes what it says.
        port: of loopback.
        schedules: whether it makes scheduled runs and shows Prefect's pages; a server for one
            run needs neither.
    """

    def __init__(self, log: Path, port: int, *, schedules: bool) -> None:
        self.log = log
        self.port = port
        # On a run's screen Prefect is silent; what a server says goes to a file, and is needed.
        told = {name: "ERROR" for name in _TOLD if os.environ.get(name) in (None, SILENT)}
        self._environment = {**os.environ, **told, **({} if schedules else _UNSCHEDULED)}
        self._process: subprocess.Popen[bytes] | None = None
        self._held: int | None = None

    @property
    def api_url(self) -> str:
        """The address for `PREFECT_API_URL`."""
        return f"http://{LOOPBACK}:{self.port}/api"

    def start(self) -> None:
        """Start the process once no other is coming up, without waiting until it answers.

        Raises:
            LocalError: its folder can't be written, is full, or another one does not come up.
        """
        try:
            # What a full disk does to the server is hard to read there.
            require_room(self.log.parent, _LITTLE)
            output = self.log.open("ab")
            self._held = locks.wait_to_have(self.log.with_name(_LOCK), READY_SECONDS)
        except OSError as error:
            raise unwritable(self.log, error) from None
        with output:
            if self._held is None:
                raise LocalError(
                    "Another command has been starting Prefect's server in "
                    f"{self.log.parent} for {READY_SECONDS} s; end it, and run this one again."
                )
            self._process = tether.start(
                "uvicorn",
                "--factory",
                "prefect.server.api.server:create_app",
                f"--host={LOOPBACK}",
                f"--port={self.port}",
                "--log-level=warning",
                environment=self._environment,
                output=output,
            )

    @property
    def pid(self) -> int | None:
        """The process, where there is one."""
        return self._process.pid if self._process else None

    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            LocalError: it ended, or did not come up in time.
        """
        give_up = time.monotonic() + READY_SECONDS
        while not is_healthy(self.api_url):
            if not self.is_alive() or time.monotonic() > give_up:
                raise LocalError(
                    f"Prefect's server did not come up; {self.log} says why. "
                    "OMNILEDGER_HOME names another folder for its state."
                )
            time.sleep(_POLL_SECONDS)
        self._let_others_start()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            tether.stop(self._process)
        self._let_others_start()

    def _let_others_start(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None
