"""Prefect servers on one folder, as far as nothing but their starting tells."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omniledger import tether
from omniledger.errors import LocalError
from omniledger.scheduling import prefect_server
from omniledger.scheduling.prefect_server import PrefectServer
from tests.killing import begun

_STARTING = """
import sys
from pathlib import Path
from omniledger import tether
from omniledger.scheduling.prefect_server import PrefectServer
tether.start = lambda *_, **__: None
PrefectServer(Path(sys.argv[1]), 1, schedules=False).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ports of the servers that were started; each answers when it is asked."""
    ports: list[str] = []

    def start(*arguments: str, **_: object) -> None:
        ports.extend(one for one in arguments if one.startswith("--port="))

    monkeypatch.setattr(tether, "start", start)
    monkeypatch.setattr(prefect_server, "is_healthy", lambda _: True)
    return ports


def servers(folder: Path) -> tuple[PrefectServer, PrefectServer]:
    log = folder / "server.log"
    return PrefectServer(log, 1, schedules=False), PrefectServer(log, 2, schedules=True)


def test_of_two_servers_on_one_folder_one_comes_up_at_a_time(
    started: list[str], tmp_path: Path
) -> None:
    first, second = servers(tmp_path)
    first.start()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(second.start)
        with pytest.raises(TimeoutError):
            later.result(timeout=0.3)
        before = [*started]
        first.wait()
        later.result(timeout=10)
    assert (before, started) == (["--port=1"], ["--port=1", "--port=2"])
    second.stop()
    first.start()
    first.stop()


def test_a_server_that_does_not_come_up_holds_the_next_one_up_for_so_long_and_no_longer(
    started: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_server, "READY_SECONDS", 0)
    first, second = servers(tmp_path)
    first.start()
    with pytest.raises(LocalError, match=r"Another command has been starting .* end it"):
        second.start()
    assert started == ["--port=1"]
    first.stop()
    second.start()
    second.stop()


def test_a_command_that_was_killed_holds_nobody_up(started: list[str], tmp_path: Path) -> None:
    killed = begun(_STARTING, tmp_path / "server.log", says="started")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    _, second = servers(tmp_path)
    second.start()
    assert started == ["--port=2"]
    second.stop()
