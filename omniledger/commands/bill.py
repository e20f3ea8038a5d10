"""`omniledger bill`: what the provider charges, beside what the ledger says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.bill.loading import Imported
    from omniledger.bill.reading import Document
    from omniledger.bill.removing import Removed


@click.group()
def bill() -> None:
    """The provider's bill: import it, fetch it, list what is there.

    `omniledger run` then sets it against the ledger, in fct_bill_reconciliation.

    \b
    Example:
      omniledger bill import cost_report.json
    """


@bill.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def bill_import(files: tuple[Path, ...], as_json: bool) -> None:
    """Import a bill from files. They are JSON of the provider, its console's CSV, or your own.

    Of pages of one report, give all, in their order. A day that is imported again is replaced;
    what was known before is kept in the history. Of a file in which something can't be read,
    nothing is imported.

    \b
    Example:
      omniledger bill import usage-1.json usage-2.json cost.csv
    """
    from omniledger.bill import reading

    _take_in(reading.documents(files), as_json)


@bill.command("fetch")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DATE")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DATE")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def bill_fetch(first: datetime, last: datetime, as_json: bool) -> None:
    """Fetch a bill from the provider's API. The days are of UTC, both included.

    The key of an administrator is read from ANTHROPIC_ADMIN_KEY. Bills settle for about 30 days:
    fetch those days again later.

    \b
    Example:
      ANTHROPIC_ADMIN_KEY=… omniledger bill fetch --from 2026-03-01 --to 2026-03-31
    """
    import os

    from omniledger.bill import fetching

    url = os.environ.get(fetching.ADDRESS) or fetching.API
    api = fetching.Api(os.environ.get(fetching.KEY, "").strip(), url)
    _take_in(list(api.documents(first.date(), last.date())), as_json)


@bill.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def bill_list(as_json: bool) -> None:
    """List what was imported, oldest first.

    \b
    Example:
      omniledger bill list --json
    """
    from omniledger.bill.listing import imports
    from omniledger.database import session
    from omniledger.moments import in_utc

    with session() as connection:
        found = list(imports(connection))
    if as_json:
        print_document(found)
        return
    if not found:
        click.echo("No bill was imported yet; `omniledger bill import FILE` does it.")
    for one in found:
        click.echo(
            f"{one['import_id']:>4}  {in_utc(one['imported_at'])}  {one['first_date']} to "
            f"{one['last_date']}  {_amounts(one['amount_usd'], one['tokens'])}  "
            f"{_in_force(one)}{one['form']}  {one['source']}"
        )


@bill.command("remove")
@click.argument("import_id", type=int)
def bill_remove(import_id: int) -> None:
    """Take an import back. `omniledger bill list` has the numbers of imports.

    Of the days that it was the last to report on, no bill is known then. Its rows stay in the
    history. What it had replaced is not put back: import that again.

    \b
    Example:
      omniledger bill remove 3
    """
    from omniledger.bill import removing
    from omniledger.counting import plural
    from omniledger.database import session

    with session(autocommit=True) as connection:
        removed = removing.remove(connection, import_id)
    click.echo(
        f"Import {import_id} is removed: of {_days(removed)}, "
        f"{plural(removed.buckets_changed, 'bucket')} of time, no bill is known now; the next "
        "`omniledger run` shows it so."
    )


def _take_in(documents: Iterable[Document], as_json: bool) -> None:
    """Import them one by one; what was taken in is told also where a later one is refused."""
    from dataclasses import asdict

    from omniledger.bill import loading
    from omniledger.database import session

    taken = []
    try:
        with session(autocommit=True) as connection:
            for document in documents:
                imported = loading.take_in(connection, document)
                taken.append({"source": document.name, **asdict(imported)})
                if not as_json:
                    _say(document, imported)
    finally:
        if as_json:
            print_document(taken)


def _say(document: Document, imported: Imported) -> None:
    if not imported.buckets_changed:
        click.echo(f"{document.name}: nothing new; what it says of {_days(imported)} was known.")
        return
    buckets = imported.buckets_changed + imported.buckets_unchanged
    click.echo(
        f"{document.name}: {imported.form} of {_days(imported)}, rows {imported.charges:,}, "
        f"{_amounts(imported.amount_usd, imported.tokens)}; new or changed are "
        f"{imported.buckets_changed:,} of {buckets:,} buckets of time."
    )


def _amounts(amount_usd: Decimal, tokens: Decimal) -> str:
    # A report of usage says no cost, which is not a cost of nothing; and the other way round.
    cost = f"${amount_usd:f}" if amount_usd else "no costs"
    return f"{cost}, {f'{tokens:,f} tokens' if tokens else 'no tokens'}"


def _in_force(one: dict[str, Any]) -> str:
    """How much of an import is the last word on its times; a removal has none to say."""
    from omniledger.bill import removing

    if one["form"] == removing.FORM:
        return ""
    left, all_ = one["buckets_in_force"], one["buckets_changed"] + one["buckets_unchanged"]
    share = "all" if left == all_ else f"{left:,} of {all_:,}" if left else "nothing"
    return f"{share} in force  "


def _days(imported: Imported | Removed) -> str:
    first, last = imported.first_date, imported.last_date
    return first if first == last else f"{first} to {last}"
