"""`omniledger publish`: what is built, put before its readers."""

from __future__ import annotations

import click


@click.command()
@click.argument("run", required=False)
@click.option("--force", is_flag=True, help="Publish although the gate refused; needs --why.")
@click.option("--why", help="Why you do so; it is recorded for ever, with your database role.")
def publish(run: str | None, force: bool, why: str | None) -> None:
    """Publish what was built and judged last. Then build the site.

    A run does so by itself; this is for one that ended between the two, and, with --force, for
    figures that the gate refused and that you stand for. RUN names the run that you mean: its id,
    the first letters of it, or `last`; what is built is always of the last.

    \b
    Example:
      omniledger publish --force --why "the provider confirmed the negative tokens"
    """
    from omniledger.counting import plural
    from omniledger.database import session, target
    from omniledger.errors import SettingsError
    from omniledger.forcing import publish_built
    from omniledger.settings import get_settings
    from omniledger.site import build

    if force != (why is not None):
        raise SettingsError("Say both or neither of --force and --why: force needs its reason.")
    dsn, settings = target(), get_settings()
    past, published = publish_built(dsn, run, why=why)
    how = " by force" if force else ""
    what = f"{plural(published.rows, 'row')} of days that changed"
    if not published.rows:
        what = "readers had all that it built already"
    click.echo(f"Published the run {past.run_id}{how}: {what}.")
    with session(dsn) as connection:
        click.echo(build(connection, settings.site_dir, show_emails=settings.show_emails))
