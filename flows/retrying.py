"""Tasks that are tried again, where what stopped them may pass.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from omniledger.errors import PassingError
from omniledger.screen import say

P = ParamSpec("P")
R = TypeVar("R")

PAUSES_SECONDS = [1.0, 5.0]
"""How long is waited before each new attempt."""


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Whether trying again can help; a refusal of the gate, a wrong password and the like stay."""
    try:
        state.result()
    except PassingError as error:
        say(f"  {error} Trying again.", level="warning")
        return True
    except Exception:
        return False
    return False


def retried(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that is tried again where the database was away, or others were in the way."""
    return task(
        name=name,
        retries=len(PAUSES_SECONDS),
        retry_delay_seconds=PAUSES_SECONDS,
        retry_condition_fn=may_pass,
        # A run is no part of a key that Prefect could compute: it would keep an error of each task.
        cache_policy=NO_CACHE,
    )
