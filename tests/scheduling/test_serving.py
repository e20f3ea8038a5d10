"""What the runner offers to Prefect's server, without a server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from flows import serve
from omniledger.scheduling.prefect_server import SERVED
from omniledger.scheduling.times import Plan
from omniledger.settings import Settings


class Offered:
    """A runner that keeps what it is given to run."""

    last: ClassVar[Offered]

    def __init__(self, *, limit: int, **_: object) -> None:
        self.limit = limit
        self.deployments: dict[str, Any] = {}
        Offered.last = self

    async def aadd_deployment(self, deployment: Any) -> None:
        self.deployments[deployment.name] = deployment.schedules

    async def start(self) -> None:
        pass


def offered() -> Offered:
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, serve.serve(Plan(None, None, "Europe/Berlin"))).result()
    return Offered.last


def test_what_is_due_once_a_day_is_so_however_often_the_schedule_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "_Runner", Offered)
    monkeypatch.setattr(serve, "is_overdue", lambda _: False)
    monkeypatch.setattr(serve, "get_settings", lambda: Settings(raw_keep_days=400))
    before, after = offered(), offered()
    assert set(before.deployments) == {*SERVED}
    for name in ("daily", "prune"):
        [first], [second] = before.deployments[name], after.deployments[name]
        assert first.schedule == second.schedule
        assert first.schedule.timezone == "Europe/Berlin"
    # None waits for another's end.
    assert after.limit == len(SERVED)
