"""`omniledger models`: which model ran when, where rows don't say it."""

from __future__ import annotations

import click

from omniledger.documents import print_document


@click.group()
def models() -> None:
    """Which model ran when, for rows that don't say it themselves.

    \b
    Example:
      omniledger models set claude-sonnet-4-5 --from 2026-01-15
    """


@models.command("set")
@click.argument("model")
@click.option("--from", "start", help="From when on, until the next that you state; default: ever.")
def models_set(model: str, start: str | None) -> None:
    """State that MODEL ran from a moment on.

    The next run prices the days again that it touches, and no others. `models unset` takes it back.

    \b
    Example:
      omniledger models set claude-sonnet-4-5 --from 2026-01-15
    """
    from omniledger.database import session
    from omniledger.moments import since, stated
    from omniledger.pricing.history import say_model
    from omniledger.pricing.names import nearest
    from omniledger.screen import say

    ran_from = stated(start)
    with session() as connection:
        name, is_known = say_model(connection, model, ran_from)
        near = None if is_known else nearest(connection, model)
    click.echo(f"{name} ran from {since(ran_from)} on.")
    if not is_known:
        hint = f"; did you mean {near}?" if near else ""
        say(f"Nobody knows what {name} costs{hint or '.'}", level="warning")


@models.command("unset")
@click.option("--from", "start", help="The moment as `models list` shows it; default: ever.")
def models_unset(start: str | None) -> None:
    """Take back what you stated from a moment on. What you stated before it goes on.

    \b
    Example:
      omniledger models unset --from 2026-01-15
    """
    from omniledger.database import session
    from omniledger.moments import since, stated
    from omniledger.pricing.history import take_back

    ran_from = stated(start)
    with session() as connection:
        take_back(connection, ran_from)
    click.echo(f"What you stated from {since(ran_from)} on is gone.")


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def models_list(as_json: bool) -> None:
    """List which model ran from when on.

    \b
    Example:
      omniledger models list
    """
    from omniledger.database import session
    from omniledger.moments import since
    from omniledger.pricing.history import list_models
    from omniledger.settings import get_settings

    with session() as connection:
        stated = list_models(connection)
    default = get_settings().default_model
    if as_json:
        rows = [{"from": start, "model": model} for start, model in stated]
        print_document({"default_model": default, "stated": rows})
        return
    for start, model in stated:
        click.echo(f"{since(start):<26} {model}")
    click.echo(f"Where nothing is stated: {default}")
