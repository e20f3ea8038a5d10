"""`omniledger doctor`: what would be used, and from where."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def doctor(as_json: bool) -> None:
    """Say which versions, settings and servers are used. It says where each is from.

    It starts nothing, and shows no secret. Exit 1 where something is wrong.

    \b
    Example:
      omniledger doctor --json
    """
    from omniledger.doctoring import examine

    raise SystemExit(examine(as_json))
