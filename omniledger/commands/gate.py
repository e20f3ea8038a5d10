"""`omniledger gate`: what the gate found."""

from __future__ import annotations

import click

from omniledger.documents import print_document


@click.group()
def gate() -> None:
    """What the gate found in the figures of a run.

    \b
    Example:
      omniledger gate explain last
    """


@gate.command("explain")
@click.argument("run", default="last")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def gate_explain(run: str, as_json: bool) -> None:
    """Say what failed in a run, and what to do. It shows what was seen, in which rows.

    RUN is its id, the first letters of it, or `last`: the last that the gate judged. Exit 0 where
    the gate let the figures pass, with warnings or without, 5 where it refused them.

    \b
    Example:
      omniledger gate explain last --json
    """
    from omniledger.database import session
    from omniledger.errors import GateRefused
    from omniledger.judged import explain
    from omniledger.settings import get_settings

    with session() as connection:
        explained = explain(connection, run, get_settings().site_dir)
    if as_json:
        print_document(explained.document())
    else:
        click.echo(explained.text())
    raise SystemExit(0 if explained.passed else GateRefused.exit_code)
