"""A removal that was begun and not ended: it is decided again before it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omniledger import revisions
from omniledger.database import Connection
from omniledger.errors import NotReadyError, SettingsError
from omniledger.pruning.deciding import (
    Pruning,
    forget_other_cluster,
    require_old,
    require_published,
    require_settled,
)
from omniledger.pruning.raw import first_day_from
from omniledger.settings import Settings

_UNFINISHED = """
    select pruning_id, begun_at, before_date, before_at, archive
    from ledger.prunings
    where finished_at is null
    order by before_at
    limit 1
"""

# By an update, for who prunes has no right to delete a record.
_SET_ASIDE = """
    update ledger.prunings set before_date = '0001-01-01', before_at = '-infinity'
    where pruning_id = %s
"""

_RECORD = """
    select built_xmin, audit_rows + health_rows from ledger.prunings where pruning_id = %s
"""

_MOVE = "update ledger.prunings set archive = %s where pruning_id = %s"


def unfinished(connection: Connection) -> Pruning | None:
    """The removal that was begun and not ended, if any.

    Raises:
        NotReadyError: the database isn't upgraded.
    """
    revisions.require_head(connection)
    row = connection.execute(_UNFINISHED).fetchone()
    if row is None:
        return None
    pruning_id, begun_at, before, before_at, archive = row
    return Pruning(pruning_id, begun_at, before, before_at, Path(archive) if archive else None)


def require_still_right(
    connection: Connection, settings: Settings, left: Pruning, *, unbilled: bool
) -> None:
    """Refuse to go on with what would not be begun: the same is asked of it again.

    Only rows that came since are no matter: the record says up to which they may go.

    Raises:
        NotReadyError: figures of those days aren't published, or their bill isn't settled.
        SettingsError: the marts still need those days.
    """
    forget_other_cluster(connection)
    [(built_xmin, gone)] = connection.execute(_RECORD, [left.pruning_id]).fetchall()
    # Which rows go, the moment says, whatever the record's date is.
    before = max(left.before, first_day_from(left.before_at, settings.reporting_timezone))
    with _explained(left, gone), _set_aside(connection, left):
        require_old(connection, settings, before)
        if require_published(connection, settings, before) < built_xmin:
            raise NotReadyError(
                "Its rows are newer than what is published; `omniledger run` publishes them."
            )
        if not unbilled:
            require_settled(connection, before)


def in_folder(connection: Connection, left: Pruning, archive: Path | None) -> Pruning:
    """Let a removal go on with the archive of this call; what is in another stays there.

    Raises:
        NotReadyError: it was begun with an archive, and this call names none.
    """
    if left.archive == archive:
        return left
    if archive is None:
        raise NotReadyError(
            f"A removal of rows from before {left.before} was begun with --archive "
            f"{left.archive}; run it again with that or another folder."
        )
    connection.execute(_MOVE, [str(archive), left.pruning_id])
    return replace(left, archive=archive)


@contextmanager
def _set_aside(connection: Connection, left: Pruning) -> Iterator[None]:
    """Have its days be asked about as if it had not been begun."""
    with connection.transaction(force_rollback=True):
        connection.execute(_SET_ASIDE, [left.pruning_id])
        yield


@contextmanager
def _explained(left: Pruning, gone: int) -> Iterator[None]:
    name = f"The removal of rows from before {left.before}, begun and not ended, can't go on."
    try:
        yield
    except NotReadyError as error:
        raise NotReadyError(f"{name} {error}") from None
    except SettingsError as error:
        way_out = f" If nobody meant that day, delete row {left.pruning_id} of ledger.prunings."
        raise SettingsError(f"{name} {error}{'' if gone else way_out}") from None
