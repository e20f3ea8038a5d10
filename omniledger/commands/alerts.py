"""`omniledger alerts`: what the operator is told, and whether the channels work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from omniledger.documents import print_document


@click.group()
def alerts() -> None:
    """What you are told when something is wrong. OMNILEDGER_ALERTS names the channels.

    \b
    Example:
      omniledger alerts list
    """


@alerts.command("test")
def alerts_test() -> None:
    """Send a message to every channel; exit 1 where one does not take it.

    \b
    Example:
      OMNILEDGER_ALERTS=mailto://user:password@example.com omniledger alerts test
    """
    from omniledger.alerts.channels import Letter, require_known, send
    from omniledger.errors import SettingsError
    from omniledger.settings import get_settings

    urls = get_settings().alerts
    if not urls:
        raise SettingsError(
            "OMNILEDGER_ALERTS names no channel; set it to Apprise addresses, separated by spaces."
        )
    require_known(urls)
    letter = Letter("omniledger: a test", "If you can read this, alerts reach you.")
    places = range(1, len(urls) + 1)
    failed = send(urls, dict.fromkeys(places, letter))
    for place in places:
        click.echo(f"channel {place}: {'did not take it' if place in failed else 'took it'}")
    raise SystemExit(1 if failed else 0)


@alerts.command("look")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def alerts_look(as_json: bool) -> None:
    """Look once at what is wrong now, and tell what is new. The watch does it by itself.

    \b
    Example:
      omniledger alerts look
    """
    from omniledger.alerts.blind import told_when_blind
    from omniledger.alerts.watching import look
    from omniledger.database import session
    from omniledger.settings import get_settings

    settings = get_settings()
    with told_when_blind(settings), session() as connection:
        looked = look(connection, settings)
    if as_json:
        print_document(looked)
        return
    click.echo(f"{looked.wrong} wrong now; {looked.told} told, {looked.waiting} waiting.")
    if looked.waiting and not settings.alerts:
        click.echo("OMNILEDGER_ALERTS names no channel that could be told.")
    for place in looked.failed:
        click.echo(f"channel {place}: did not take it")


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@click.option("--all", "with_past", is_flag=True, help="Those that are over too.")
def alerts_list(as_json: bool, with_past: bool) -> None:
    """List the events that last. It says when each began and whether it was told.

    \b
    Example:
      omniledger alerts list --all
    """
    from omniledger.alerts.record import listed
    from omniledger.database import session
    from omniledger.moments import in_utc
    from omniledger.strangers import visible

    with session() as connection:
        rows = listed(connection, with_past=with_past)
    if as_json:
        print_document(rows)
        return
    for row in rows:
        over = f" until {in_utc(row['resolved_at'])}" if row["resolved_at"] else ""
        click.echo(f"{in_utc(row['opened_at'])}{over}  {visible(row['sentence'])}{_told(row)}")
    if not rows:
        click.echo(
            "Nothing that was seen wrong lasts; `omniledger alerts look` looks now."
            if not with_past
            else "No look has ever found anything wrong."
        )


def _told(row: Mapping[str, Any]) -> str:
    if row["told_at"] is None:
        return f" (not told: {row['last_failure'] or 'waiting'})"
    missed = ", ".join(f"channel {place}" for place in row["missed_by"])
    return f" (told, but {missed} did not take it)" if missed else ""
