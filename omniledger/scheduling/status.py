"""What the schedule that is kept from this folder is doing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from omniledger.embedded.locks import is_free
from omniledger.masking import masked
from omniledger.moments import in_utc
from omniledger.scheduling.prefect_server import ask
from omniledger.settings import Settings

LOCK = "schedule.lock"
"""The file in Prefect's folder that whoever keeps a schedule has a claim on."""

STATE = "schedule.json"
"""The file beside it that says where its server is."""

_NEXT = {
    "sort": "EXPECTED_START_TIME_ASC",
    "limit": 5,
    # A run that somebody made by hand is none of the schedule's.
    "flow_runs": {
        "deployment_id": {"is_null_": False},
        "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}},
    },
}


def is_kept(settings: Settings) -> bool:
    """Whether a schedule is kept from this folder."""
    return not is_free(settings.home / "prefect" / LOCK)


def tell_status(settings: Settings) -> int:
    """Print whether a schedule is kept, and its next runs; 0 if it is and Prefect answers."""
    if not is_kept(settings):
        click.echo("No schedule is kept from this folder.")
        return 1
    try:
        state = json.loads((settings.home / "prefect" / STATE).read_text())
        runs = ask(state["api_url"], "/flow_runs/filter", _NEXT)
    except (OSError, ValueError):
        click.echo("A schedule is kept from this folder; its Prefect server does not answer now.")
        return 1
    click.echo(
        f"A schedule is kept by process {state['pid']}; Prefect is at {masked(state['api_url'])}."
    )
    for run in runs:
        click.echo(f"  {_when(run)}  {run['name']}  {run['state_name'].lower()}")
    return 0


def _when(run: dict[str, Any]) -> str:
    return in_utc(datetime.fromisoformat(run["expected_start_time"]), with_seconds=True)
