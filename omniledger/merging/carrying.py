"""Run or go on with the merge: the one way, for the upgrade, the command and the flow."""

from __future__ import annotations

import logging
from collections.abc import Callable

from psycopg import sql

from migrations import definitions, turns
from migrations.legacy import ARCHIVE, NAME, Legacy, inspect
from migrations.merge.abandon import abandon
from migrations.merge.batches import Progress
from migrations.merge.certify import Certificate
from migrations.merge.cutover import TableChanged, make_view
from migrations.merge.labels import Labels
from migrations.merge.pacing import Pace
from migrations.merge.record import Done, last_done, unfinished
from migrations.merge.run import finish, merge
from migrations.merge.watch import is_watched
from migrations.redundant import replace_redundant
from migrations.rights import require_room
from migrations.waiting import OWN_SESSION, Waiting
from omniledger import revisions
from omniledger.analytics.link import require_own
from omniledger.catalog import kind_of
from omniledger.database import Connection, Dsn, session
from omniledger.errors import NotReadyError, OmniledgerError
from omniledger.roles import grant_again
from omniledger.settings import Settings

_log = logging.getLogger("omniledger.merge")

_TRIES = 5
"""How often a merge goes on after somebody changed the old table meanwhile."""

_IS_MERGED = """
    select
        to_regclass(%s) is not null
        or exists (select from omni2.audit_logs where legacy_id is not null)
"""


def run(
    dsn: Dsn,
    settings: Settings,
    show: Callable[[Progress], None],
    say: Callable[[str], object],
) -> Certificate | None:
    """Wait for our turn, then carry the merge out.

    Args:
        show: told of the progress after each batch.
        say: told where another upgrade or merge has to end first.

    Returns:
        The certificate, or None where nothing was left to do.

    Raises:
        NotReadyError: the schema steps are not done, or the merge can't be done or proved.
        DatabaseError: the database went away, or others held a lock for too long.
    """
    waiting = Waiting(dsn)
    try:
        with (
            turns.taken(dsn, say),
            waiting.watched(),
            session(dsn, autocommit=True, **OWN_SESSION) as connection,
        ):
            revisions.require_schema_steps(connection)
            require_own(connection)
            require_room(connection, settings.legacy_schema)
            certificate = carry_out(connection, settings, show)
            grant_again(connection, settings.legacy_schema)
            # What a printed upgrade left out; at an older revision there is no way back from it.
            if (revisions.current(connection) or "") >= revisions.REPLACED_AT:
                replace_redundant(connection)
            definitions.record(connection, anew=True)
            return certificate
    except OmniledgerError as error:
        raise waiting.given_up() or error from error


def carry_out(
    connection: Connection, settings: Settings, show: Callable[[Progress], None]
) -> Certificate | None:
    """Do what is left of the merge; where a merge was cut over, certify it.

    Args:
        connection: an autocommit connection, while nobody else upgrades.

    Raises:
        NotReadyError: something can't be carried, or the certificate doesn't hold.
        DatabaseError: others held a lock for too long.
    """
    for _ in range(_TRIES):
        try:
            return _carry_out(connection, settings, show)
        except TableChanged:
            _log.warning("The old table was changed while it was merged; it is looked at again.")
    raise NotReadyError(
        f"{settings.legacy_schema}.{NAME} was changed each time that it was merged: end what "
        "changes its columns, indexes, constraints or triggers, and run the command again, it goes "
        "on where it was."
    )


def _carry_out(
    connection: Connection, settings: Settings, show: Callable[[Progress], None]
) -> Certificate | None:
    legacy = _look(connection, settings.legacy_schema)
    workers = settings.merge_workers
    if legacy is None:
        return finish(connection, show, workers)
    done = last_done(connection)
    if done is not None and _is_merged(connection):
        _make_view_again(connection, done, legacy)
        return finish(connection, show, workers)
    begun = unfinished(connection)
    if begun is not None and begun != legacy:
        _log.warning("The old table is not as it was when its merge began; it begins anew.")
        abandon(connection)
    elif begun is not None and begun.has_table and not is_watched(connection, begun):
        _log.warning("What was written was not watched since the merge began; it begins anew.")
        abandon(connection)
    pace = Pace(settings.merge_max_load, settings.merge_max_lag_seconds)
    return merge(connection, legacy, settings.match_window_seconds, show, workers, pace)


def _look(connection: Connection, schema: str) -> Legacy | None:
    """Inspect the old table once more; a refusal says what of a merge was done by then.

    Raises:
        NotReadyError: it can't be carried, as it was when the merge began, if it was.
    """
    try:
        return inspect(connection, schema)
    except NotReadyError as error:
        stands = "the old table is as it was"
        if unfinished(connection) is not None:
            stands += ", and what was brought over by now stays for when the merge goes on"
        raise NotReadyError(str(error).replace("nothing was changed", stands)) from error


def is_pending(connection: Connection, settings: Settings) -> bool:
    """Whether an old table is there whose merge has not been cut over."""
    return kind_of(connection, Legacy(settings.legacy_schema, ()).relation) == "r"


def _is_merged(connection: Connection) -> bool:
    """Whether a merge's rows are in the ledger now: it was not taken back."""
    return connection.execute(_IS_MERGED, (f"ledger.{ARCHIVE}",)).fetchone() == (True,)


def _make_view_again(connection: Connection, done: Done, found: Legacy) -> None:
    """Give the old name back to its view, which somebody dropped; its rows were never in it.

    Raises:
        NotReadyError: somebody made a table of that name.
    """
    if found.has_table:
        raise NotReadyError(
            f"{found.schema}.{NAME} is a table again, although the old one was merged: rename it, "
            "run `omniledger merge run`, which makes the view again, and then insert the table's "
            f"rows into {found.schema}.{NAME} without their id."
        )
    legacy = done.legacy
    sequence = sql.Identifier(*legacy.id_sequence) if legacy.id_sequence else None
    with connection.transaction():
        make_view(connection, legacy, sequence)
        if legacy.has_table:
            Labels.read(connection, f"ledger.{ARCHIVE}").give(connection, legacy.relation)
    _log.warning(
        "%s.%s was not there; its view was made again. Views over it that went with it have to be "
        "made again by hand.",
        legacy.schema,
        NAME,
    )
