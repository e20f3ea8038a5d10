"""`omniledger db`: the embedded PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.embedded import EmbeddedServer


@click.group()
def db() -> None:
    """The embedded PostgreSQL, which keeps its data in .omniledger/.

    \b
    Example:
      omniledger db start
    """


def _embedded() -> EmbeddedServer:
    from omniledger.embedded import EmbeddedServer
    from omniledger.settings import get_settings

    return EmbeddedServer(get_settings().home / "postgres")


@db.command("start")
def db_start() -> None:
    """Start it and keep it running until `omniledger db stop`.

    \b
    Example:
      omniledger db start
    """
    endpoint = _embedded().keep()
    click.echo(
        f"PostgreSQL answers on {endpoint.host}:{endpoint.port}; `omniledger db stop` ends it."
    )


@db.command("stop")
def db_stop() -> None:
    """Stop it, whoever uses it.

    \b
    Example:
      omniledger db stop
    """
    click.echo("PostgreSQL is stopped." if _embedded().stop() else "PostgreSQL was not running.")


@db.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def db_status(as_json: bool) -> None:
    """Say whether it runs; exit 1 where it doesn't.

    \b
    Example:
      omniledger db status
    """
    status = _embedded().status()
    if as_json:
        print_document(status)
        raise SystemExit(0 if status.running else 1)
    if not status.running:
        click.echo(f"PostgreSQL {status.version}: not running")
        raise SystemExit(1)
    until = "until `omniledger db stop`" if status.kept else "until its last user ends"
    click.echo(
        f"PostgreSQL {status.version}: running on port {status.port} (pid {status.pid}), {until}"
    )


@db.command("url")
def db_url() -> None:
    """Print the address of the database, password included.

    \b
    Example:
      psql "$(omniledger db url)"
    """
    from omniledger.database import target

    click.echo(target().url())
    _warn_of_end()


@db.command("env")
def db_env() -> None:
    """Print shell lines that let psql, dbt and others find the database.

    \b
    Example:
      eval "$(omniledger db env)" && dbt build
    """
    import shlex

    from omniledger.database import target
    from omniledger.modelling import environment
    from omniledger.settings import get_settings

    for name, value in environment(target(), get_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")
    _warn_of_end()


def _warn_of_end() -> None:
    from omniledger.screen import say
    from omniledger.settings import get_settings

    if get_settings().database_url is None and not _embedded().status().kept:
        say("The embedded PostgreSQL ends with this command; `omniledger db start` keeps it up.")


@db.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def db_psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the database that is used. What follows is psql's own.

    \b
    Example:
      omniledger db psql -c 'select * from analytics.fct_daily_usage'
    """
    import os
    import subprocess

    from omniledger.database import target

    environment = {**os.environ, **target().environment()}
    program = _embedded().bin_dir / "psql"
    raise SystemExit(subprocess.run([program, *arguments], env=environment, check=False).returncode)
