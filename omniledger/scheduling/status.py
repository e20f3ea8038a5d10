"""What the schedule that is kept from this folder is doing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from omniledger.embedded.locks import is_free
from omniledger.scheduling.prefect_server import ask
from omniledger.settings import Settings

_NEXT = {
    "sort": "EXPECTED_START_TIME_ASC",
    "limit": 5,
    "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}},
}


def tell_status(settings: Settings) -> int:
    """Print whether a schedule is kept, and its next runs; 0 if it is and Prefect answers."""
    folder = settings.home / "prefect"
    if not (folder / "schedule.lock").exists() or is_free(folder / "schedule.lock"):
        click.echo("No schedule is kept from this folder.")
        return 1
    try:
        state = json.loads((folder / "schedule.json").read_text())
        runs = ask(state["api_url"], "/flow_runs/filter", _NEXT)
    except (OSError, ValueError):
        click.echo("A schedule is kept from this folder; its Prefect server does not answer now.")
        return 1
    click.echo(f"A schedule is kept by process {state['pid']}; Prefect is at {state['api_url']}.")
    for run in runs:
        click.echo(f"  {_when(run)}  {run['name']}  {run['state_name'].lower()}")
    return 0


def _when(run: dict[str, Any]) -> str:
    due = datetime.fromisoformat(run["expected_start_time"]).astimezone()
    return f"{due:%Y-%m-%d %H:%M:%S %Z}"
