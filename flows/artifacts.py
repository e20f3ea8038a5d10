"""What a run leaves in Prefect for those who look at it there: progress, a summary, tables, a link.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from omniledger.runs import Run
from omniledger.screen import say


class Bar:
    """A progress artifact."""

    def __init__(self, key: str, told: str) -> None:
        # Outside of an event loop it is the id itself.
        self._artifact = cast(UUID, create_progress_artifact(0.0, key, told))

    def at(self, share: float, told: str) -> None:
        """Move it to a share, 0 to 1, and say what is being done."""
        update_progress_artifact(self._artifact, 100 * share, told)


@contextmanager
def spared() -> Iterator[None]:
    """Go on where Prefect does not take an artifact: the figures are what counts."""
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        name = type(error).__name__
        say(f"  Prefect did not take what the run has to show ({name})", level="warning")


@contextmanager
def left_of(run: Run, steps: int) -> Iterator[None]:
    """Show how far a run is, and at its end, good or bad, how it went.

    Args:
        steps: how many it has when nothing goes wrong.
    """
    with spared():
        bar = Bar("progress", "The run begins.")

        def at(step: str) -> None:
            with spared():
                bar.at(min(len(run.steps) / steps, 1), f"Now: {step}.")

        run.tell_step = at
    outcome = "It was published."
    try:
        yield
    except BaseException as error:
        was = "published, but not shown" if run.has_ended else "not published"
        outcome = f"It was {was}: {str(error) or type(error).__name__}"
        raise
    finally:
        with spared():
            bar.at(1, outcome)
            create_markdown_artifact(_summary(run, outcome), "summary")
            create_table_artifact(_models(run), "models")


def leave_pages(totals: dict[str, str], site_url: str) -> None:
    """Leave the headline figures, and the way to the report."""
    with spared():
        figures: list[dict[str, Any]] = [{"figure": n, "value": v} for n, v in totals.items()]
        create_table_artifact(figures, "figures")
        create_link_artifact(
            site_url,
            "The report",
            "report",
            "`omniledger site serve` serves it.",
        )


def _summary(run: Run, outcome: str) -> str:
    lines = [
        f"{outcome}",
        "",
        f"Run `{run.run_id}`; `omniledger runs` lists it.",
        "",
        "| step | s | rows | |",
        "|---|--:|--:|---|",
    ]
    for step, seconds in run.steps:
        rows = "" if step.rows is None else f"{step.rows:,}"
        said = ", ".join(step.said).replace("|", "\\|")
        lines.append(f"| {step.name} | {seconds:.1f} | {rows} | {said} |")
    return "\n".join(lines)


def _models(run: Run) -> list[dict[str, Any]]:
    parts = [part for step, _ in run.steps for part in step.parts]
    parts.sort(key=lambda part: part.seconds, reverse=True)
    return [{"model": p.name, "seconds": str(p.seconds), "rows": p.rows} for p in parts]
