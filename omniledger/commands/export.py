"""`omniledger export`: the published figures in forms that other programs read."""

from __future__ import annotations

from pathlib import Path

import click

from omniledger.documents import print_document


@click.group()
def export() -> None:
    """Write the published figures for other programs.

    \b
    Example:
      omniledger export focus focus.parquet
    """


@export.command("focus")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def export_focus(file: Path, as_json: bool) -> None:
    """Write the cost in the columns of FOCUS 1.2. FILE is a .csv or a .parquet.

    \b
    Example:
      omniledger export focus focus.csv
    """
    from dataclasses import asdict

    from omniledger.counting import plural
    from omniledger.database import session
    from omniledger.focus.exporting import write
    from omniledger.screen import say

    with session() as connection:
        written = write(connection, file)
    if as_json:
        document = {"file": str(file), **asdict(written)}
        print_document(document)
        return
    click.echo(f"{file}: {plural(written.rows, 'row')}, ${written.billed:f}.")
    if written.unknown:
        say(
            f"{written.unknown:,} of them have no cost that anybody knows, and stand with 0: their "
            "x_CostBasis is unknown.",
            level="warning",
        )
