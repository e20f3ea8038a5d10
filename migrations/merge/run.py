"""The merge from beginning to end; each step is repeatable, so a killed merge goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial

from psycopg import errors, sql

from migrations.columns import read_columns
from migrations.gateway import LEDGER
from migrations.indexing import outwait_snapshots
from migrations.legacy import ARCHIVE, Legacy
from migrations.memory import remember
from migrations.merge import foreign_keys, indexes, referring, room
from migrations.merge.batches import Progress, workers_of
from migrations.merge.certify import Certificate, certify, store
from migrations.merge.copy import apply_changes, changes_left, copy_history
from migrations.merge.cutover import TooManyChanges, cut_over, locks, make_view
from migrations.merge.matching import match_history, take_ambiguous
from migrations.merge.pacing import Pace
from migrations.merge.record import as_done, begin_run, last_run, note_cut_over
from migrations.merge.statements import Statements
from migrations.merge.users import map_users
from migrations.merge.watch import unwatch_merged, watch, watch_ledger, watch_merged
from migrations.patience import patiently
from omniledger.database import Connection
from omniledger.errors import NotReadyError

FEW_CHANGES = 20
"""How many changes may be left when the cut over is tried."""

MOST_UNDER_LOCK = 100
"""How many of them it may apply while writers wait; that takes some 10 ms."""

_ROUNDS_IN_VAIN = 20
"""How often to catch up without coming closer, for writers that are as fast as the merge."""

_INDEX_TRIES = 10
"""How often to build the old table's unique indexes, which values may wander between rows of."""


def _show_nothing(progress: Progress) -> None:
    """Where nobody looks."""


def merge(
    connection: Connection,
    legacy: Legacy,
    window: Decimal,
    show: Callable[[Progress], None] = _show_nothing,
    workers: int = 1,
    pace: Pace | None = None,
) -> Certificate | None:
    """Bring the legacy table into the ledger and put the view in its place.

    Args:
        connection: an autocommit connection of its own.
        legacy: the table as `migrations.legacy.inspect` found it.
        window: how far apart the two logs of one request may be, in seconds.
        show: called with the progress, at the beginning of each step and after each batch.
        workers: how many batches to do at once, each on a connection of its own.
        pace: how hard each worker may work; as hard as it can where none is given.

    Returns:
        The certificate, or None where there was no legacy table to merge.

    Raises:
        NotReadyError: the certificate does not hold; it says which ids.
        DatabaseError: others held a lock for too long.
    """
    run_id = begin_run(connection, legacy)
    patiently(connection, LEDGER, partial(watch_ledger, connection))
    if not legacy.has_table:
        _make_empty_name(connection, legacy, run_id)
        return None
    statements = Statements(legacy)
    _make_places(connection, legacy)
    show(Progress("watching"))
    map_users(connection, legacy)
    patiently(connection, legacy.relation, partial(watch, connection, legacy))
    patiently(connection, LEDGER, partial(watch_merged, connection, legacy))
    indexes.begin_anew(connection, legacy)
    # An earlier version put them on before the last row had come.
    patiently(connection, LEDGER, partial(foreign_keys.drop, connection))
    with workers_of(connection, workers) as crew:
        for worker in crew:
            # A crash of the server takes the last batches back, whole, and the next upgrade repeats
            # them. The cut over's commit, which does wait for the disk, flushes all of them.
            worker.execute("set synchronous_commit = off")
        for progress in match_history(connection, crew, statements, window):
            show(progress)
        _note_ambiguous(connection, run_id)
        for progress in copy_history(connection, crew, statements, pace or Pace()):
            show(progress)
    _carry_indexes(connection, statements, window, show)
    # Whoever began before, and reads one state all along, would find the rows under neither name.
    outwait_snapshots(connection)
    connection.execute("analyze omni2.audit_logs")
    # Most of it, with all the time that it takes: in a try of the cut over waits are short.
    _catch_up(connection, statements, window, show)
    show(Progress("cutting over"))
    patiently(
        connection,
        legacy.relation,
        partial(_cut_over, connection, statements, window, run_id),
        list(locks(connection, legacy.relation)),
    )
    return finish(connection, show, workers)


def _note_ambiguous(connection: Connection, run_id: int) -> None:
    connection.execute(
        "update ledger.merge_runs set rows_ambiguous = %s where id = %s",
        (take_ambiguous(connection), run_id),
    )


def _make_places(connection: Connection, legacy: Legacy) -> None:
    """Give the ledger the columns that it has not: of an old table that has got others since.

    Or that an upgrade by printed SQL, or by an earlier version, placed otherwise.
    """
    there = {column.name for column in read_columns(connection, LEDGER)}
    missing = {name: kind for name, kind in legacy.places.items() if name not in there}
    remember(connection, "added_columns", set(missing))
    for name, kind in missing.items():
        add = sql.SQL("alter table omni2.audit_logs add column if not exists {} {}").format(
            sql.Identifier(name), sql.SQL(kind)
        )
        patiently(connection, LEDGER, partial(connection.execute, add))


def _carry_indexes(
    connection: Connection,
    statements: Statements,
    window: Decimal,
    show: Callable[[Progress], None],
) -> None:
    """Build the old table's indexes on what was brought over.

    What was copied is not of one moment: a value may have gone from one row to another meanwhile,
    and stand in both, until the first is brought over again.
    """
    for tried in range(1, _INDEX_TRIES + 1):
        _catch_up(connection, statements, window, show)
        try:
            return indexes.carry(connection, statements.legacy)
        except errors.UniqueViolation:
            if tried == _INDEX_TRIES:
                raise


def _catch_up(
    connection: Connection,
    statements: Statements,
    window: Decimal,
    show: Callable[[Progress], None] = _show_nothing,
) -> int:
    """Apply what was written meanwhile, until little is left for the cut over to do.

    Returns:
        How many changes are left.
    """
    done = in_vain = 0
    left = changes_left(connection)
    show(Progress("catching up"))
    while in_vain < _ROUNDS_IN_VAIN:
        before = left
        # Where values go on from row to row all the time, none may fit until all is of one moment.
        with suppress(errors.UniqueViolation):
            act = partial(_apply_changes, connection, statements, window)
            done += patiently(connection, LEDGER, act)
            show(Progress("catching up", done))
        left = changes_left(connection)
        if left <= FEW_CHANGES:
            break
        in_vain += left >= before
    return left


def _cut_over(connection: Connection, statements: Statements, window: Decimal, run_id: int) -> None:
    """Catch up with what was written while we waited, and cut over.

    Where much came just before the lock, it is let go again, so that writers go on meanwhile. Ever
    more may be applied under it, or who always writes that much would keep us for ever; so would
    who is as fast as the merge.
    """
    most = MOST_UNDER_LOCK
    while True:
        left = _catch_up(connection, statements, window)
        try:
            return cut_over(connection, statements, window, run_id, max(most, 2 * left))
        except TooManyChanges:
            most *= 2


def _apply_changes(connection: Connection, statements: Statements, window: Decimal) -> int:
    """Apply some changes; where a value went on to a row whose change is not among them, all."""
    try:
        return apply_changes(connection, statements, window)
    except errors.UniqueViolation:
        return apply_changes(connection, statements, window, at_most=None)


def finish(
    connection: Connection,
    show: Callable[[Progress], None] = _show_nothing,
    workers: int = 1,
) -> Certificate | None:
    """Certify a merge whose cut over is done and whose certificate is missing, or doesn't hold.

    Raises:
        NotReadyError: the certificate does not hold.
    """
    run = last_run(connection)
    if run is None or run.holds or run.cutover_xid is None:
        return None
    patiently(connection, LEDGER, partial(unwatch_merged, connection))
    patiently(connection, LEDGER, partial(room.keep_out, connection))
    foreign_keys.validate(connection, f"ledger.{ARCHIVE}")
    referring.validate(connection, LEDGER, "legacy_id")
    statements = Statements(run.legacy, archived=True)
    with workers_of(connection, workers) as crew:
        certificate = certify(connection, statements, as_done(connection, run), show, crew)
    store(connection, run.id, certificate)
    if not certificate.holds:
        way_out = (
            "insert those rows into ledger.audit_logs_legacy again, or a downgrade loses them."
            if certificate.strays
            else "the old table is whole in ledger.audit_logs_legacy, and `alembic downgrade 0005` "
            "puts it back."
        )
        raise NotReadyError(
            f"The merge of {run.legacy_table} is not proved: {certificate.detail}; {way_out}"
        )
    return certificate


def _make_empty_name(connection: Connection, legacy: Legacy, run_id: int) -> None:
    with connection.transaction():
        sequence = sql.Identifier(*legacy.made_sequence)
        connection.execute(sql.SQL("create sequence if not exists {}").format(sequence))
        make_view(connection, legacy, sequence)
        connection.execute(
            "update ledger.merge_runs set finished_at = now(), rows_total = 0, rows_copied = 0,"
            " rows_matched = 0, rows_quarantined = 0, rows_ambiguous = 0, users_unmapped = 0,"
            " holds = true where id = %s",
            (run_id,),
        )
        note_cut_over(connection, run_id)
