"""`omniledger inspect`: what is there against what should be."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@click.option("--exact", "is_exact", is_flag=True, help="Count and compare everything: slow.")
@click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Watch for that long who writes.",
)
def inspect(as_json: bool, is_exact: bool, watch_seconds: float) -> None:
    """Say what is there against what should be. Exit code: 0 in order, 1 drift, 2 cannot tell.

    It only reads, and needs only the right to. The document of --json is described by
    omniledger/inspection/schema.json.

    \b
    Example:
      omniledger inspect --json
    """
    from omniledger.inspection.command import inspect_database

    raise SystemExit(
        inspect_database(as_json=as_json, is_exact=is_exact, watch_seconds=watch_seconds)
    )
