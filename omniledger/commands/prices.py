"""`omniledger prices`: what models cost, from when on, and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.pricing.explaining import Explained
    from omniledger.pricing.loading import Loaded


@click.group()
def prices() -> None:
    """What models cost, from when on. The list's prices, and your own, which stand before them.

    \b
    Example:
      omniledger prices explain claude-sonnet-4-5 --at 2026-03-01
    """


@prices.command("update")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def prices_update(as_json: bool) -> None:
    """Load the installed price list now; `omniledger run` does it too.

    A newer list comes with a newer genai-prices package. What changed is closed, never edited.

    \b
    Example:
      omniledger prices update
    """
    from omniledger.database import session
    from omniledger.pricing import catalog, loading

    with session() as connection:
        loaded = loading.load(connection, catalog.listed_models(), catalog.source())
    if as_json:
        print_document(loaded)
    else:
        _show_loaded(loaded)


def _show_loaded(loaded: Loaded) -> None:
    click.echo(
        f"{loaded.source}: {loaded.models} models, {len(loaded.new)} new, "
        f"{len(loaded.changed)} with a changed price."
    )
    for name in loaded.changed:
        click.echo(f"  {name}: the old price is closed, a new one is in force.")
    for sentence in loaded.kept:
        click.echo(f"  {sentence}.")
    if loaded.unlisted:
        click.echo(f"  Not in the list, their prices stay: {', '.join(loaded.unlisted)}.")


@prices.command("set")
@click.argument("model")
@click.option("--input", "input_price", help="US dollars per million input tokens, uncached.")
@click.option("--output", "output_price", help="Per million output tokens.")
@click.option("--cached-read", help="Per million input tokens read from the cache.")
@click.option("--cache-write-5m", help="Per million input tokens cached for five minutes.")
@click.option("--cache-write-1h", help="Per million input tokens cached for an hour.")
@click.option("--discount", help="Instead of prices: percent off the list's, now and later.")
@click.option("--from", "start", help="From when on; default: ever.")
@click.option("--to", "end", help="Until before when; default: for ever.")
def prices_set(
    model: str,
    input_price: str | None,
    output_price: str | None,
    discount: str | None,
    start: str | None,
    end: str | None,
    **others: str | None,
) -> None:
    """State your own price of MODEL, or a discount on the list's.

    It takes the place of what you stated of that time before, which stands before and after it
    still. The next run prices the days again that it touches, and no others. `prices unset` takes
    all back.

    \b
    Example:
      omniledger prices set claude-sonnet-4-5 --input 2.70 --output 13.50 --cached-read 0.27
      omniledger prices set claude-sonnet-4-5 --discount 10
    """
    from omniledger.database import session
    from omniledger.moments import number, stated
    from omniledger.pricing import loading, own
    from omniledger.pricing.rates import Rates
    from omniledger.screen import say

    prices_given = [input_price, output_price, *others.values()]
    if (discount is None) == all(price is None for price in prices_given):
        raise click.UsageError("Give prices, or a --discount, but not both.")
    since, until = stated(start), stated(end)
    with session() as connection:
        # The list says what a name means, and what a discount is of.
        loading.load_if_new(connection)
        if discount is not None:
            name = own.say_discount(connection, model, number(discount), since, until)
        elif input_price is None or output_price is None:
            raise click.UsageError("A price needs both --input and --output.")
        else:
            rest = {k: None if v is None else number(v) for k, v in others.items()}
            rates = Rates(number(input_price), number(output_price), **rest)
            name = own.say_price(connection, model, rates, since, until)
    what = f"{discount} % off the list" if discount is not None else "your own price"
    click.echo(f"{name}: {what}, {_stretch(since, until)}.")
    unpriced = [kind for kind in ("cached_read", "cache_write_5m") if others[kind] is None]
    if discount is None and unpriced:
        say(
            f"Requests that use {' or '.join(kind.replace('_', ' ') for kind in unpriced)} have an "
            "unknown cost then, for you gave no price of it.",
            level="warning",
        )
    if others["cache_write_5m"] is not None and others["cache_write_1h"] is None:
        say(
            "What the provider bills as cached for an hour stays unexplained beside its bill, for "
            "you gave no price of it.",
            level="warning",
        )


@prices.command("unset")
@click.argument("model")
def prices_unset(model: str) -> None:
    """Take back all that you stated of MODEL. Discounts too: the list's prices stand again.

    \b
    Example:
      omniledger prices unset claude-sonnet-4-5
    """
    from omniledger.database import session
    from omniledger.pricing import own

    with session() as connection:
        name = own.take_back(connection, model)
    click.echo(f"{name}: what you stated is gone.")


@prices.command("list")
@click.option("--own", is_flag=True, help="Only your own.")
@click.option("--all", "ended", is_flag=True, help="Those of the past, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def prices_list(own: bool, ended: bool, as_json: bool) -> None:
    """List the prices, in US dollars per million tokens.

    \b
    Example:
      omniledger prices list --own
    """
    from omniledger.database import session
    from omniledger.pricing.explaining import list_prices

    with session() as connection:
        rows = list_prices(connection, own=own, ended=ended)
    if as_json:
        print_document(rows)
        return
    if not rows and ended:
        click.echo("You have stated no price of your own." if own else "No price is known.")
    elif not rows:
        whose = "of your own " if own else ""
        click.echo(f"No price {whose}is in force or to come; `--all` shows those of the past, too.")
    for row in rows:
        mark = "own " if row["is_own"] else "list"
        click.echo(
            f"{row['model']:<36} {mark} {_rates(row)}, {_row_stretch(row)} ({row['source']})"
        )


@prices.command("explain")
@click.argument("model")
@click.option("--at", default="now", show_default=True, help="The moment, e.g. 2026-03-01T12:00Z.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def prices_explain(model: str, at: str, as_json: bool) -> None:
    """Say what a model costs at a moment, and why. Exit code 1 where nobody knows.

    \b
    Example:
      omniledger prices explain us.anthropic.claude-sonnet-4-5-20250929-v1:0 --at 2026-03-01
    """
    from omniledger.database import session
    from omniledger.moments import stated
    from omniledger.pricing.explaining import explain

    moment = stated(at)
    if moment is None:
        raise click.UsageError("--at needs a time.")
    with session() as connection:
        explained = explain(connection, model, moment)
    if as_json:
        print_document(explained.document())
    else:
        _show_explained(explained)
    if explained.in_force is None:
        raise SystemExit(1)


def _show_explained(explained: Explained) -> None:
    if explained.model is None:
        near = f"; the nearest known name is {explained.nearest}" if explained.nearest else ""
        click.echo(
            f"Nobody knows a model named {explained.name}{near}. Its cost is unknown, not 0; "
            "`omniledger prices update` loads the list, `omniledger prices set` says your own."
        )
        return
    if explained.model != explained.name:
        click.echo(f"{explained.name} is {explained.model}.")
    price = explained.in_force
    if price is None:
        click.echo(f"At {explained.at.isoformat()} no price is in force: cost is unknown, not 0.")
    else:
        whose = "your own price, before any of the list" if price["is_own"] else "the list's price"
        click.echo(f"At {explained.at.isoformat()}, per million tokens: {_rates(price)}.")
        click.echo(f"That is {whose}, {_row_stretch(price)} ({price['source']}).")
    for other in explained.prices:
        if other is not price:
            mark = "own" if other["is_own"] else "list"
            click.echo(f"  not in force, {mark}: {_rates(other)}, {_row_stretch(other)}")


def _rates(row: dict[str, Any]) -> str:
    names = {
        "input": "in",
        "output": "out",
        "cached_read": "read",
        "cache_write_5m": "write",
        "cache_write_1h": "write for an hour",
    }
    return ", ".join(f"{row[key]:f} {name}" for key, name in names.items() if row[key] is not None)


def _row_stretch(row: dict[str, Any]) -> str:
    return _stretch(row["valid_from"], row["valid_to"])


def _stretch(start: datetime | None, end: datetime | None) -> str:
    from omniledger.moments import since

    ends = "on" if end is None else f"until before {end.isoformat()}"
    return f"from {since(start)} {ends}"
