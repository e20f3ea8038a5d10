"""`omniledger users`: who the users under the old name are among the gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.merging.correcting import Corrected
    from omniledger.merging.people import People


@click.group()
def users() -> None:
    """Who is who: users under the old name, and the gateway's.

    They are found by e-mail, case and spaces aside; what you say here goes before that.

    \b
    Example:
      omniledger users list --unmapped
    """


@contextmanager
def _people() -> Iterator[People]:
    from omniledger.database import session
    from omniledger.merging.people import People
    from omniledger.settings import get_settings

    with session(autocommit=True) as connection:
        yield People(connection, get_settings())


@users.command("list")
@click.option("--unmapped", is_flag=True, help="Only those who are nobody among the gateway's.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def users_list(unmapped: bool, as_json: bool) -> None:
    """Show everybody under the old name. Each with requests and the gateway's user.

    \b
    Example:
      omniledger users list --unmapped
    """
    from omniledger.strangers import visible

    with _people() as people:
        found = [p for p in people.everybody() if not unmapped or p.user_id is None]
    if as_json:
        print_document(found)
        return
    if not found:
        click.echo(
            "Everybody under the old name is known to the gateway."
            if unmapped
            else "There is nobody under the old name."
        )
        return
    click.echo(f"{'old id':>8}  {'user':>8}  {'how':<12}  {'requests':>10}  e-mail")
    for person in found:
        user = "nobody" if person.user_id is None else str(person.user_id)
        click.echo(
            f"{person.legacy_id:>8}  {user:>8}  {person.how or '':<12}  {person.requests:>10,}"
            f"  {visible(person.email or '(not there)')}"
        )


@users.command("map")
@click.argument("legacy_id", type=int, required=False)
@click.argument("user_id", type=int, required=False)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="A CSV file with the columns legacy_id,user_id.",
)
def users_map(legacy_id: int | None, user_id: int | None, path: Path | None) -> None:
    """Say who a user under the old name is. LEGACY_ID is the gateway's USER_ID.

    Rows that were merged or written through the old name are corrected at once; rows that the
    gateway itself logged stay as they are.

    \b
    Example:
      omniledger users map 17 4
    """
    from omniledger.counting import plural
    from omniledger.errors import SettingsError
    from omniledger.merging.people import read_pairs

    if path is not None and legacy_id is None:
        pairs = read_pairs(path)
    elif path is None and legacy_id is not None and user_id is not None:
        pairs = [(legacy_id, user_id)]
    else:
        raise SettingsError("Give either LEGACY_ID and USER_ID, or --file.")
    with _people() as people:
        corrected = people.map(pairs)
    _tell(f"{plural(len(pairs), 'user')} mapped", corrected)


@users.command("unmap")
@click.argument("legacy_id", type=int)
def users_unmap(legacy_id: int) -> None:
    """Take back what you said about LEGACY_ID; the e-mail decides again.

    \b
    Example:
      omniledger users unmap 17
    """
    with _people() as people:
        corrected = people.unmap(legacy_id)
    _tell("1 user unmapped", corrected)


def _tell(what: str, corrected: Corrected) -> None:
    from omniledger.counting import plural

    click.echo(f"{what}, {plural(corrected.rows, 'row')} corrected.")
    if not corrected.is_settled:
        from omniledger.screen import say

        say(
            "Transactions that began before are still open; run the command again when they have "
            "ended, for what they write.",
            level="warning",
        )
