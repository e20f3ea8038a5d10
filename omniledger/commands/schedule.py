"""`omniledger schedule`: the flows by themselves."""

from __future__ import annotations

import click


@click.command()
@click.option("--cron", help="When the daily flow runs, as a cron line. Default: 15 0 * * *")
@click.option("--every", help="How often it runs instead, like 30m, 6h or 1d.")
@click.option("--watch-every", default="5m", show_default=True, help="How often the watch looks.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Of Prefect's server and pages, where PREFECT_API_URL names none.",
)
@click.option("--status", "only_status", is_flag=True, help="Show what is scheduled, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the status for programs.")
def schedule(
    cron: str | None,
    every: str | None,
    watch_every: str,
    port: int,
    only_status: bool,
    as_json: bool,
) -> None:
    """Run the flows when they are due, until Ctrl-C. The daily one, and the watch.

    Cron lines are read in OMNILEDGER_REPORTING_TIMEZONE. A run that was missed is caught up once.

    \b
    Example:
      omniledger schedule --cron "15 0 * * *"
    """
    from omniledger.alerts.channels import require_known
    from omniledger.errors import SettingsError
    from omniledger.scheduling.keeper import keep
    from omniledger.scheduling.times import Plan
    from omniledger.settings import get_settings

    settings = get_settings()
    if only_status:
        from omniledger.scheduling.status import tell_status

        raise SystemExit(tell_status(settings, as_json=as_json))
    if as_json:
        raise SettingsError("--json is of --status; give both, or neither.")
    require_known(settings.alerts)
    keep(Plan(cron, every, settings.reporting_timezone, watch_every), port, settings)
