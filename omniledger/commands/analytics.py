"""`omniledger analytics`: build the figures on a server of their own."""

from __future__ import annotations

import click

from omniledger.documents import print_document


@click.group()
def analytics() -> None:
    """Build, judge and publish on another PostgreSQL. It copies what changed at the source.

    DATABASE_URL names the analytics server; the source is the gateway's database.

    \b
    Example:
      DATABASE_URL=postgresql://me@reports/figures omniledger analytics status
    """


@analytics.command()
@click.argument("source_url", envvar="OMNILEDGER_SOURCE_URL")
@click.option(
    "--run-as", metavar="LOGIN", help="The login that runs there. Default: that of DATABASE_URL."
)
def attach(source_url: str, run_as: str | None) -> None:
    """Make the analytics server copy a source. SOURCE_URL is where it reaches that.

    A command line can be read by others of the machine: leave a password out of it, and set
    OMNILEDGER_SOURCE_PASSWORD, or the whole URL as OMNILEDGER_SOURCE_URL. Do it again after an
    upgrade, and where the source moved; `omniledger run` then takes over what is needed.

    \b
    Example:
      omniledger analytics attach postgresql://copier@gateway-db/gateway
    """
    import os
    from dataclasses import replace

    from click.core import ParameterSource

    from omniledger.analytics import attaching
    from omniledger.database import Dsn, target
    from omniledger.moments import in_utc
    from omniledger.settings import get_settings

    # libpq's variables are of the analytics server.
    source = Dsn.parse(source_url, "SOURCE_URL", environ={})
    given = click.get_current_context().get_parameter_source("source_url")
    if password := os.environ.get("OMNILEDGER_SOURCE_PASSWORD"):
        source = replace(source, password=password)
    elif source.password and given is ParameterSource.COMMANDLINE:
        click.echo(
            "The password stands on the command line, where others of this machine can read it; "
            "the next time set OMNILEDGER_SOURCE_PASSWORD.",
            err=True,
        )
    done = attaching.attach(target(), source, get_settings(), run_as)
    click.echo(f"Attached to {source.safe()}; `omniledger run` copies and builds.")
    if done.has_citus:
        click.echo("Citus is there: the logs are distributed by id, small tables are on all nodes.")
    if done.pruned_before:
        click.echo(
            f"The source removed its raw rows from before {in_utc(done.pruned_before)}: "
            "figures of those days are in its own schema analytics, and not here unless they "
            "were copied before.",
            err=True,
        )


@analytics.command()
def detach() -> None:
    """Forget the source and its password; the copy and the figures stay.

    \b
    Example:
      omniledger analytics detach
    """
    from omniledger.analytics import attaching
    from omniledger.database import target

    attaching.detach(target())
    click.echo("Detached; the copy and the figures stay as they are.")


@analytics.command()
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def status(as_json: bool) -> None:
    """Say where the source is, and when it was copied. It counts what changed since.

    Exit 1 where it can't be read, or nothing is attached.

    \b
    Example:
      omniledger analytics status --json
    """
    from omniledger.analytics.status import read
    from omniledger.counting import plural
    from omniledger.database import session
    from omniledger.moments import in_utc

    with session() as connection:
        found = read(connection)
    if as_json:
        print_document(found)
    elif found.was_detached:
        click.echo("Detached from its source: the copy and the figures are as they were then.")
    elif not found.is_attached:
        click.echo("Attached to no source: figures are built of this database's own ledger.")
    else:
        click.echo(f"Source: {found.source}.")
        if found.taken_at is None:
            click.echo("Never copied yet; `omniledger run` does.")
        else:
            click.echo(
                f"Copied last: {in_utc(found.taken_at, with_seconds=True)}, "
                f"{plural(found.rows_taken or 0, 'row')}."
            )
        if found.is_same_source is False:
            click.echo("It is another server, database or timeline now: all is taken over anew.")
        if found.rows_behind is not None:
            click.echo(f"Changed since: {plural(found.rows_behind, 'row')}.")
        if found.trouble:
            click.echo(found.trouble)
    raise SystemExit(0 if found.is_readable else 1)


@analytics.command()
def upkeep() -> None:
    """Do at the source what runs would do there. It maps people, notes limits, loads new prices.

    DATABASE_URL names the source. Schedule it there where nothing else runs.

    \b
    Example:
      omniledger analytics upkeep
    """
    from omniledger import noting, revisions
    from omniledger.analytics.link import require_own
    from omniledger.database import session
    from omniledger.pricing import loading

    with session() as connection:
        revisions.require_head(connection)
        require_own(connection)
        people = noting.map_users(connection)
        noting.note_limits(connection)
        loaded = loading.load_if_new(connection)
    prices = "no new prices" if loaded is None else f"prices of {loaded.source} loaded"
    click.echo(f"{people} people mapped, limits noted, {prices}.")
