"""The demo as a person sees it: load, upgrade, run, and say what came out."""

from __future__ import annotations

from pathlib import Path

import click

from omniledger import report, revisions, screen
from omniledger.certificate import sentence
from omniledger.counting import plural
from omniledger.database import session, target
from omniledger.demo.load import SAMPLE, load, stop_clock
from omniledger.report import Figures
from omniledger.running import run_daily
from omniledger.settings import get_settings


def show(trace: Path | None, days: int) -> None:
    """Take a trace the whole way; errors are those of each step."""
    path = trace or SAMPLE
    dsn = target()
    click.echo(f"The demo writes the requests of {path.name} to {dsn.safe()}:")
    with screen.step("two drifted audit logs written") as told:
        with session(dsn) as connection:
            requests = load(connection, path, days)
        told(plural(requests, "request"))
    with screen.step("database upgraded"):
        revisions.upgrade(dsn)
        with session(dsn) as connection:
            stop_clock(connection, days)
    run_daily()
    with session(dsn) as connection:
        click.echo(summary(report.collect(connection)))
    click.echo(
        f"\nOpen {get_settings().site_dir / 'index.html'}\n"
        "or `omniledger site serve`, which serves it with the model docs and the Data Docs."
    )


def summary(figures: Figures) -> str:
    """What the marts say of the whole trace, every digit of it."""
    lines = ["", *(f"  {name:<20}{value:>16}" for name, value in report.totals(figures).items())]
    if figures.merge is not None:
        merge = figures.merge
        told = sentence(
            total=merge.rows_total,
            copied=merge.rows_copied,
            matched=merge.rows_matched,
            quarantined=merge.rows_quarantined,
            holds=merge.holds,
            detail=merge.detail,
        )
        lines.append(f"\n  {told}")
    return "\n".join(lines)
