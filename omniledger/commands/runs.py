"""`omniledger runs`: what became of the last runs, and how long each step took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.history import RunTaken


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many runs."
)
def runs(as_json: bool, limit: int) -> None:
    """List the last runs, newest first. Each with its verdict and how long each step took.

    \b
    Example:
      omniledger runs --limit 3
    """
    from omniledger import revisions
    from omniledger.database import session
    from omniledger.history import read

    with session() as connection:
        revisions.require_head(connection)
        found = read(connection, limit)
    if as_json:
        print_document([_document(run) for run in found])
        return
    for run in found:
        _show(run)
    if not found:
        click.echo("No run yet; `omniledger run` makes the first.")


def _document(run: RunTaken) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(run), "seconds": run.seconds, "rows": run.rows}


def _show(run: RunTaken) -> None:
    from omniledger.counting import plural
    from omniledger.moments import in_utc

    reason = f": {run.reason}" if run.reason else ""
    click.echo(
        f"{in_utc(run.started_at, with_seconds=True)}  {run.verdict}  {run.seconds:.1f} s  "
        f"{plural(run.rows, 'row')}{reason}"
    )
    for step in run.steps:
        took = "never ended" if step.seconds is None else f"{step.seconds:.1f} s"
        detail = f"  {step.detail}" if step.detail else ""
        click.echo(f"  {took:>11}  {step.step}{detail}")
        for part in step.parts[:3]:
            rows = "" if part.rows is None else f"  {plural(part.rows, 'row')}"
            click.echo(f"  {part.seconds:>11.1f}    {part.name}{rows}")
