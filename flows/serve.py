"""The runner: offers the flows to Prefect's server and runs what it schedules.

Started by `omniledger.scheduling.keeper`, with the plan as JSON in its one argument and the
environment that `flows.environment.prepare` made.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from prefect import get_client, schedules
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner

from flows.daily import daily
from flows.prune import prune_raw
from flows.watch import watch
from omniledger.database import session
from omniledger.scheduling.prefect_server import DAILY, PRUNE, WATCH
from omniledger.scheduling.times import Cron, Plan
from omniledger.settings import get_settings

PRUNED_AT = "0 4 * * *"
"""When old raw rows go: at a time of the day, for an interval would begin anew with each start."""


class _Runner(Runner):
    """A runner that ends on SIGTERM: Prefect's own handler never awaits its end."""

    async def start(self, run_once: bool = False, webserver: bool | None = None) -> None:
        self._at_work = asyncio.get_running_loop()
        await super().start(run_once, webserver)

    def handle_sigterm(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.astop(), self._at_work)


async def serve(plan: Plan) -> None:
    """Serve until this process is told to end."""
    # A run that is due while another goes on is not wanted twice.
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    when = plan.daily
    schedule = (
        schedules.Cron(when.line, timezone=when.timezone)
        if isinstance(when, Cron)
        else schedules.Interval(when.interval)
    )
    # Not paused at the end: to offer a flow anew takes off the runs that nobody made, and one
    # makes up for all of them.
    # A place for each: a long removal beside a daily run keeps no watch waiting.
    runner = _Runner(name="omniledger", limit=3, pause_on_shutdown=False)
    await runner.aadd_deployment(
        await daily.ato_deployment(name=DAILY, schedule=schedule, concurrency_limit=one)
    )
    await runner.aadd_deployment(
        await watch.ato_deployment(
            name=WATCH, schedule=schedules.Interval(plan.watch), concurrency_limit=one
        )
    )
    if get_settings().raw_keep_days is not None:
        once_a_day = schedules.Cron(PRUNED_AT, timezone=plan.timezone)
        await runner.aadd_deployment(
            await prune_raw.ato_deployment(name=PRUNE, schedule=once_a_day, concurrency_limit=one)
        )
    else:
        await _withdraw(f"{prune_raw.name}/{PRUNE}")
    if is_overdue(plan):
        await arun_deployment(f"{daily.name}/{DAILY}", timeout=0, as_subflow=False)
    await runner.start()


async def _withdraw(name: str) -> None:
    """Take back what an earlier start offered: nobody would run it, and late it would stay."""
    async with get_client() as client:
        with suppress(ObjectNotFound):
            offered = await client.read_deployment_by_name(name)
            await client.delete_deployment(offered.id)


def is_overdue(plan: Plan) -> bool:
    """Whether no run has begun since the last time that one was due, by the database's clock.

    A run that began later than now, before that clock was set back, says nothing of today.
    """
    with session() as connection:
        [(last, now)] = connection.execute("select max(started_at), now() from ledger.runs")
    return last is None or not plan.daily.last_due(now) <= last <= now


def main() -> None:
    """Read the plan and serve it."""
    asyncio.run(serve(Plan.from_json(sys.argv[1])))


if __name__ == "__main__":
    main()
