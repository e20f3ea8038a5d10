"""`omniledger logs`: what serves the logs dialog."""

from __future__ import annotations

import click


@click.group()
def logs() -> None:
    """The index that the logs dialog searches with.

    \b
    Example:
      omniledger logs index
    """


@logs.command("index")
def index() -> None:
    """Build the search index of the logs dialog.

    With it a rare word is found among all rows of a server, without it among the newest 10,000;
    each INSERT becomes about a sixth dearer. It needs the extension pg_trgm. Writers go on.

    After an upgrade by printed SQL it also lists, server by server, what requests reached before.

    \b
    Example:
      omniledger logs index
    """
    from migrations.search import build_search
    from migrations.servers import list_servers
    from omniledger.database import session
    from omniledger.errors import NotReadyError
    from omniledger.revisions import require_head

    with session(autocommit=True) as connection:
        require_head(connection)
        list_servers(connection)
        if not build_search(connection):
            raise NotReadyError(
                "The extension pg_trgm isn't in this database and this user may not create it; "
                "have an administrator run `create extension pg_trgm`, then run this again."
            )
    click.echo("Search has its index.")
