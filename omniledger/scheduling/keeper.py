"""The process that keeps Prefect's server and the runner alive, and ends them when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from omniledger import revisions, tether
from omniledger.database import session
from omniledger.embedded.locks import claim
from omniledger.errors import LocalError
from omniledger.files import replacing
from omniledger.masking import masked
from omniledger.ports import is_taken
from omniledger.roles import require_no_superuser
from omniledger.scheduling.prefect_server import (
    PrefectServer,
    close_killed,
    require_usable,
    unwritable,
)
from omniledger.scheduling.status import LOCK, STATE
from omniledger.scheduling.times import Plan
from omniledger.screen import say
from omniledger.sessions import require_lasting
from omniledger.settings import Settings

_LOOK_EVERY_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_HEALTHY_AFTER_SECONDS = 120.0


class _Pauses:
    """Longer and longer pauses after restarts of what dies at once."""

    def __init__(self) -> None:
        self._pause = 1.0
        self._since = time.monotonic()

    def after_restart(self) -> float:
        """Seconds to wait until the next look."""
        lived = time.monotonic() - self._since
        is_healthy_again = lived > _HEALTHY_AFTER_SECONDS
        self._pause = 1.0 if is_healthy_again else min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        self._since = time.monotonic()
        return self._pause


class Keeper:
    """Server and runner, each started anew when it dies."""

    def __init__(self, plan: Plan, port: int, settings: Settings) -> None:
        self.plan = plan
        self._state = settings.home / "prefect"
        self._server = self._own_server(port)
        self._runner: subprocess.Popen[bytes] | None = None
        self._pauses = _Pauses()

    def _own_server(self, port: int) -> PrefectServer | None:
        given = os.environ.get("PREFECT_API_URL")
        if not given:
            if is_taken(port):
                raise LocalError(
                    f"Port {port} is taken by another program; choose one with --port, "
                    "or name its server in PREFECT_API_URL if it is Prefect's."
                )
            return PrefectServer(self._state / "server.log", port, schedules=True)
        require_usable(given)
        return None

    @property
    def api_url(self) -> str:
        """The address of the server that is used."""
        return self._server.api_url if self._server else os.environ["PREFECT_API_URL"]

    def known(self) -> dict[str, object]:
        """What `omniledger schedule --status` shows of it."""
        return {"api_url": self.api_url, "server_pid": self._server and self._server.pid}

    def start(self) -> None:
        """Start both, and wait for the server.

        Raises:
            LocalError: it did not come up.
        """
        if self._server is not None:
            self._server.start()
            self._server.wait()
        self._runner = self._start_runner()

    def _start_runner(self) -> subprocess.Popen[bytes]:
        if self._server is not None:
            close_killed(self.api_url)
        return tether.start(
            "flows.serve",
            self.plan.to_json(),
            environment={**os.environ, "PREFECT_API_URL": self.api_url},
            output=None,
        )

    def look(self) -> float:
        """Start again what died; the pause until the next look, in seconds."""
        is_server_dead = self._server is not None and not self._server.is_alive()
        is_runner_dead = self._runner is None or self._runner.poll() is not None
        if not is_server_dead and not is_runner_dead:
            return _LOOK_EVERY_SECONDS
        say(f"{'Prefect’s server' if is_server_dead else 'The runner'} ended; starting it again.")
        pause = self._pauses.after_restart()
        if is_server_dead and self._server is not None:
            self._server.start()
            self._server.wait()
        if is_runner_dead:
            self._runner = self._start_runner()
        return pause

    def stop(self) -> None:
        """End both, the runner and its runs first."""
        if self._runner is not None:
            tether.stop(self._runner)
        if self._server is not None:
            self._server.stop()


def keep(plan: Plan, port: int, settings: Settings) -> None:
    """Run the schedule until this process is told to end.

    Raises:
        LocalError: another schedule is kept from this folder, or Prefect can't be had.
        NotReadyError: the database is not upgraded, or no run could be made through this address.
    """
    from flows.environment import prepare

    prepare(settings)
    with session(autocommit=True) as connection:
        revisions.require_head(connection)
        require_lasting(connection)
        require_no_superuser(connection)
    with _alone(settings.home / "prefect") as state:
        keeper = Keeper(plan, port, settings)
        try:
            keeper.start()
            _write(state, keeper)
            say(f"The daily flow runs {plan.daily}; Prefect is at {masked(keeper.api_url[:-4])}.")
            pause = threading.Event()
            while True:
                pause.wait(keeper.look())
                _write(state, keeper)
        except KeyboardInterrupt:
            say("The schedule has ended.")
        finally:
            keeper.stop()


def _write(state: Path, keeper: Keeper) -> None:
    """Keep what there is to know where others look, whole at any moment."""
    text = json.dumps({"pid": os.getpid(), **keeper.known()})
    if not state.exists() or state.read_text() != text:
        with replacing(state) as draft:
            draft.write_text(text)


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    lock = folder / LOCK
    with ExitStack() as stack:
        try:
            held = stack.enter_context(claim(lock))
        except OSError as error:
            raise unwritable(lock, error) from None
        if held is None:
            raise LocalError(
                "Another schedule is kept from this folder; `omniledger schedule --status` shows "
                "it. End it first."
            )
        state = folder / STATE
        try:
            yield state
        finally:
            state.unlink(missing_ok=True)
