"""What the schedule that is kept from this folder is doing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from omniledger.documents import print_document
from omniledger.embedded.locks import is_free
from omniledger.masking import masked
from omniledger.moments import in_utc
from omniledger.scheduling.prefect_server import SERVED, ask
from omniledger.settings import Settings

LOCK = "schedule.lock"
"""The file in Prefect's folder that whoever keeps a schedule has a claim on."""

STATE = "schedule.json"
"""The file beside it that says where its server is."""

_SERVED = {"deployments": {"name": {"any_": [*SERVED]}}}

_NEXT = {
    "sort": "EXPECTED_START_TIME_ASC",
    "limit": 2,
    "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}},
}
"""Of one deployment: of all together, the watch alone would be next for hours."""


def is_kept(settings: Settings) -> bool:
    """Whether a schedule is kept from this folder."""
    return not is_free(settings.home / "prefect" / LOCK)


def tell_status(settings: Settings, *, as_json: bool = False) -> int:
    """Print whether a schedule is kept, and its next runs; 0 if it is and Prefect answers."""
    status = _status(settings)
    if as_json:
        print_document(status)
    elif not status["is_kept"]:
        click.echo("No schedule is kept from this folder.")
    elif not status["does_answer"]:
        click.echo("A schedule is kept from this folder; its Prefect server does not answer now.")
    else:
        click.echo(
            f"A schedule is kept by process {status['pid']}; Prefect is at {status['api_url']}."
        )
        for run in status["runs"]:
            at = in_utc(datetime.fromisoformat(run["at"]), with_seconds=True)
            click.echo(f"  {at}  {run['flow']}  {run['state']}")
    return 0 if status["does_answer"] else 1


def _status(settings: Settings) -> dict[str, Any]:
    status: dict[str, Any] = {"is_kept": is_kept(settings), "does_answer": False, "runs": []}
    if not status["is_kept"]:
        return status
    try:
        state = json.loads((settings.home / "prefect" / STATE).read_text())
        api_url = state["api_url"]
        # A run that somebody made by hand is none of the schedule's.
        named = {one["id"]: one["name"] for one in ask(api_url, "/deployments/filter", _SERVED)}
        runs = [
            run
            for one in named
            for run in ask(
                api_url, "/flow_runs/filter", {**_NEXT, "deployments": {"id": {"any_": [one]}}}
            )
        ]
    except (OSError, ValueError):
        return status
    return {
        "is_kept": True,
        "does_answer": True,
        "pid": state["pid"],
        "api_url": masked(api_url),
        "runs": [
            {
                "at": run["expected_start_time"],
                "flow": named[run["deployment_id"]],
                "state": run["state_name"].lower(),
            }
            for run in sorted(runs, key=lambda run: str(run["expected_start_time"]))
        ],
    }
