"""The command line: what people type, and nothing that a module below could do.

Imports are inside the commands, for `omniledger --help` must answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniledger import __version__

if TYPE_CHECKING:
    from omniledger.embedded import EmbeddedServer

EPILOG = """\b
Exit codes:
  0 done           1 findings, or something unforeseen
  2 wrong setting  3 no database   4 database not ready  5 refused by the gate
  6 a step failed  7 wrong input   8 this machine refuses  130 interrupted
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="omniledger")
def cli() -> None:
    """One trustworthy ledger of what an LLM gateway did, cost and suffered.

    DATABASE_URL names the database; without it an embedded PostgreSQL is used.

    \b
    Example:
      omniledger demo
    """


@cli.command()
def run() -> None:
    """Build, judge and publish the figures once, and build the site.

    \b
    Example:
      DATABASE_URL=postgresql://me@host/gateway omniledger run
    """
    from omniledger.running import run_daily

    run_daily()


@cli.command()
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    help="A file of requests: TIMESTAMP,ContextTokens,GeneratedTokens. Default: the sample.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=1,
    show_default=True,
    help="Over how many days the requests are dealt out.",
)
def demo(trace: Path | None, days: int) -> None:
    """Load real requests into a drifted gateway, put it right, and show the report.

    \b
    Example:
      omniledger demo --days 14
    """
    from omniledger.demo.show import show

    show(trace, days)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def inspect(as_json: bool) -> None:
    """Say what is there against what should be: 0 in order, 1 drift, 2 cannot tell.

    \b
    Example:
      omniledger inspect --json
    """
    from omniledger.inspection import inspect_database

    raise SystemExit(inspect_database(as_json))


@cli.group()
def site() -> None:
    """The pages: report, model docs, Data Docs.

    \b
    Example:
      omniledger site serve
    """


@site.command("build")
def site_build() -> None:
    """Build the report anew from the published figures.

    \b
    Example:
      omniledger site build
    """
    from omniledger import modelling
    from omniledger.database import session
    from omniledger.settings import get_settings
    from omniledger.site import build

    settings = get_settings()
    with session() as connection:
        page = build(connection, settings.site_dir, dbt_docs=modelling.docs_page(settings))
    click.echo(page)


@site.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def site_serve(port: int) -> None:
    """Serve the pages on this machine until Ctrl-C.

    \b
    Example:
      omniledger site serve --port 8080
    """
    from omniledger.settings import get_settings
    from omniledger.site import serve

    serve(get_settings().site_dir, port=port)


@cli.group()
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
def db_status() -> None:
    """Say whether it runs; exit 1 where it doesn't.

    \b
    Example:
      omniledger db status
    """
    status = _embedded().status()
    if not status.running:
        click.echo(f"PostgreSQL {status.version}: not running")
        raise SystemExit(1)
    until = "until `omniledger db stop`" if status.kept else "until its last user ends"
    click.echo(
        f"PostgreSQL {status.version}: running on port {status.port} (pid {status.pid}), {until}"
    )


@db.command("url")
def db_url() -> None:
    """Print the address, password included, of the database that is used.

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
    from omniledger.settings import get_settings

    if get_settings().database_url is None and not _embedded().status().kept:
        click.echo(
            "The embedded PostgreSQL ends with this command; `omniledger db start` keeps it up.",
            err=True,
        )


@db.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def db_psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the database that is used; what follows is psql's own.

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
