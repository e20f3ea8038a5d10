"""The whole way back of a merge, wherever it stands."""

from __future__ import annotations

from functools import partial

from migrations import standing
from migrations.legacy import ARCHIVE
from migrations.merge import referring
from migrations.merge.abandon import abandon
from migrations.merge.back import put_back, require_no_id_twice
from migrations.merge.record import last_done
from migrations.patience import patiently
from migrations.rights import require_views
from omniledger.catalog import is_there, kind_of
from omniledger.database import Connection
from omniledger.errors import NotReadyError

MERGED_BY = "0007"
"""The revision whose way back undoes the merge, unless that is still half way."""


def undo(connection: Connection) -> None:
    """Put the old table back: one half-way merged is given up, one cut over is taken back.

    It can be killed and repeated, for it finds the table back where it has put it.

    Raises:
        NotReadyError: a view over the old name can't be given back to its owner.
    """
    abandon(connection)
    done = last_done(connection)
    if done is None or kind_of(connection, done.legacy.relation) != "v":
        return
    require_views(connection, done.legacy.relation)
    patiently(
        connection,
        done.legacy.relation,
        partial(put_back, connection, done),
    )
    referring.validate(connection, done.legacy.relation, "id")


def require_carried(connection: Connection) -> None:
    """Refuse to undo a merge of which something can't go back, before any revision is undone.

    Raises:
        NotReadyError: it names the first thing and what to do.
    """
    done = last_done(connection)
    if done is None or kind_of(connection, done.legacy.relation) != "v":
        return
    for why in standing.over(connection, done.legacy.relation, becomes_view=True):
        raise NotReadyError(
            f"The old audit table {done.legacy.relation} can't come back, because {why}; nothing "
            "was changed: keep its definition, drop it, go back, and make it again over the table."
        )
    if is_there(connection, f"ledger.{ARCHIVE}"):
        require_no_id_twice(connection, done.legacy)
