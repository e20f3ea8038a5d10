"""`omniledger init`: a folder from which an installed omniledger is run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Put down what a folder needs to run omniledger in. What is there stays.

    Migrations, models and expectations come with the package and are not copied, so that they
    are the installed version's. State is kept below the folder, in .omniledger and site.

    \b
    Example:
      omniledger init ledger
    """
    from omniledger.starting import put_down

    put = put_down(folder)
    for path in put.written:
        click.echo(f"{path} written.")
    if put.of_another is not None:
        click.echo(
            f"{put.of_another} is another project's and stays; where omniledger says `alembic`, "
            "type `alembic -c omniledger.ini`, or name another folder."
        )
    click.echo(f"In {folder}: name the database in DATABASE_URL, then `{put.upgrade}`.")
