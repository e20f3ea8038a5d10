"""The command line: what people type, and nothing that a module below could do.

Imports are inside the commands, for `omniledger --help` must answer at once.
"""

from __future__ import annotations

from pathlib import Path

import click

from omniledger import __version__
from omniledger.commands.alerts import alerts
from omniledger.commands.analytics import analytics
from omniledger.commands.bill import bill
from omniledger.commands.common import give_common_options
from omniledger.commands.completion import completion
from omniledger.commands.db import db
from omniledger.commands.doctor import doctor
from omniledger.commands.export import export
from omniledger.commands.gate import gate
from omniledger.commands.init import init
from omniledger.commands.inspect import inspect
from omniledger.commands.logs import logs
from omniledger.commands.merge import merge
from omniledger.commands.models import models
from omniledger.commands.prices import prices
from omniledger.commands.prune import prune
from omniledger.commands.publish import publish
from omniledger.commands.roles import roles
from omniledger.commands.runs import runs
from omniledger.commands.schedule import schedule
from omniledger.commands.site import site
from omniledger.commands.users import users

EPILOG = """\b
Exit codes:
  0 done           1 findings, or something unforeseen
  2 wrong setting  3 no database   4 database not ready  5 refused by the gate
  6 a step failed  7 wrong input   8 this machine refuses  9 merge not proved
  130 interrupted
"""


class _Commands(click.Group):
    """A group that says nothing itself where it is interrupted, if what is said is for programs."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from omniledger.screen import is_json

            # Click ends the line after a terminal's ^C.
            if is_json():
                raise click.Abort from None
            raise


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
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
    """Put a drifted gateway of real requests right. Then show the report.

    \b
    Example:
      omniledger demo --days 14
    """
    from omniledger.demo.show import show

    show(trace, days)


for command in (
    init,
    inspect,
    doctor,
    runs,
    gate,
    publish,
    schedule,
    alerts,
    merge,
    users,
    prices,
    models,
    bill,
    analytics,
    export,
    logs,
    prune,
    roles,
    site,
    db,
    completion,
):
    cli.add_command(command)
give_common_options(cli)
