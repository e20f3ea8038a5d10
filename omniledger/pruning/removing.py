"""Remove what was decided: day by day, archived first where asked, in short transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from psycopg import sql

from migrations.merge.batches import Size
from migrations.merge.pacing import Pace
from omniledger.analytics.link import is_attached
from omniledger.counting import plural
from omniledger.database import Connection, Dsn, session
from omniledger.pruning import archiving
from omniledger.pruning.deciding import Pruning, decide
from omniledger.pruning.raw import TABLES, RawTable, count, days, ends_at, older, starts_at
from omniledger.pruning.resuming import in_folder, require_still_right, unfinished
from omniledger.settings import Settings
from omniledger.turns import no_run_at_work, only_one

_LOCK = 0x6F6D6E697072756E
"""The advisory lock of a removal: the letters "omniprun"."""

# A row that is written to meanwhile has another place then, and stays.
_REMOVE = """
    delete from {table}
    where ctid = any(
        array(
            select raw.ctid
            from {table} as raw
            where
                {may_go}
                and {archived}
                and raw.timestamp >= %(from_at)s
                and raw.timestamp < %(to_at)s
            limit %(rows)s
        )
    )
"""

# What may go only since the day's file was written is in no archive; the next removal takes it.
_ARCHIVED = "exists (select from pg_temp.archived where archived.id = raw.id)"
_NOTE_ARCHIVED = (
    "create temporary table if not exists archived (id bigint primary key)",
    "truncate pg_temp.archived",
    "copy pg_temp.archived (id) from stdin",
    "analyze pg_temp.archived",
)

# What left is no change of the figures.
_TAKE_BACK = """
    delete from ledger.deleted_days where change_xid = pg_current_xact_id()::text::bigint
"""

_HAS_ARCHIVED = """
select count(*) > 0, coalesce(sum(audit_rows + health_rows), 0) > 0
from ledger.prunings
where archive = %s
"""
_COUNT_UP = "update ledger.prunings set {counter} = {counter} + %s where pruning_id = %s"
_REACHED = "select max(before_date) from ledger.prunings"
_END = "update ledger.prunings set finished_at = now() where pruning_id = %s"

# So of a copy whose source removed its own, and of rows that came free since a removal.
_NEXT_TIME = "those that may go are taken by the next removal, from before a later day"


@dataclass(frozen=True)
class Found:
    """What would go of a table: rows, and their bytes without indexes; older rows that stay."""

    table: str
    rows: int
    size: int
    staying: int
    stays_because: str


@dataclass(frozen=True)
class Looked:
    """What would go of each table, and the first day of which all rows stay."""

    before: date
    tables: tuple[Found, ...]


@dataclass(frozen=True)
class Removed:
    """What went in this call: rows of each table; from the day `before` on all stay."""

    before: date
    rows: dict[str, int]
    archive: Path | None


def look(dsn: Dsn, settings: Settings, before: date, *, unbilled: bool = False) -> Looked:
    """What `prune` would remove; it is decided as there, and taken back.

    Raises:
        NotReadyError, SettingsError: as `decide`.
    """
    with (
        session(dsn, autocommit=True) as connection,
        _alone(connection),
        connection.transaction(force_rollback=True),
    ):
        # Only the decision keeps runs away; counting may take long.
        with no_run_at_work(connection):
            left = unfinished(connection)
            if left is not None:
                require_still_right(connection, settings, left, unbilled=unbilled)
                connection.execute(_END, [left.pruning_id])
            decided = decide(connection, settings, before, unbilled=unbilled)
        latest = decided or left
        reached = _reached(connection)
        before_at = latest.before_at if latest else starts_at(reached, settings.reporting_timezone)
        found = []
        for table in TABLES:
            rows, size = count(connection, table, before_at)
            why = table.stays_because
            if latest is None and (rows or is_attached(connection)):
                rows, size, why = 0, 0, _NEXT_TIME
            staying = older(connection, table, before_at) - rows
            found.append(Found(table.name, rows, size, staying, why))
        return Looked(reached, tuple(found))


def prune(
    dsn: Dsn,
    settings: Settings,
    before: date,
    *,
    archive: Path | None = None,
    unbilled: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Removed:
    """Remove the raw rows from before a reporting day; killed at any point, call it again.

    A removal that was begun and not ended is ended first.

    Raises:
        NotReadyError, SettingsError: as `decide`, or another removal is at work.
        LocalError: the archive can't be written.
        DatabaseError: the database went away.
    """
    rows = dict.fromkeys((table.name for table in TABLES), 0)
    with session(dsn, autocommit=True) as connection, _alone(connection):
        left = unfinished(connection)
        if archive is not None:
            [(known, filled)] = connection.execute(_HAS_ARCHIVED, [str(archive)]).fetchall()
            archiving.require_writable(archive, is_known=known, has_rows=filled)
        if left is not None:
            with no_run_at_work(connection), connection.transaction():
                require_still_right(connection, settings, left, unbilled=unbilled)
                going_on = in_folder(connection, left, archive)
            say(
                f"Going on with the removal of rows from before {left.before}{_but(left, archive)}."
            )
            _remove(connection, settings, going_on, rows, say)
        with no_run_at_work(connection), connection.transaction():
            pruning = decide(connection, settings, before, archive=archive, unbilled=unbilled)
        if pruning is not None:
            _remove(connection, settings, pruning, rows, say)
        return Removed(_reached(connection), rows, archive)


def _but(left: Pruning, archive: Path | None) -> str:
    """Where the rows are that went before this call, if elsewhere than those that go now."""
    if left.archive == archive:
        return ""
    where = f"stays in {left.archive}" if left.archive else "is in no archive"
    return f"; what went already {where}"


def _reached(connection: Connection) -> date:
    """The first day of which all rows stay."""
    [(before,)] = connection.execute(_REACHED).fetchall()
    assert isinstance(before, date)  # noqa: S101 (one was decided, now or before)
    return before


def _remove(
    connection: Connection,
    settings: Settings,
    pruning: Pruning,
    rows: dict[str, int],
    say: Callable[[str], object],
) -> None:
    pace = Pace(settings.merge_max_load, settings.merge_max_lag_seconds)
    zone = settings.reporting_timezone
    for table in TABLES:
        for day in days(connection, table, pruning.before_at, zone):
            of_day: dict[str, object] = {
                "from_at": starts_at(day, zone),
                "to_at": ends_at(day, zone),
                "before_at": pruning.before_at,
            }
            if pruning.archive is not None:
                _archive(connection, pruning, table, day, of_day)
            gone = 0
            for batch in _in_batches(connection, pruning, table, of_day, pace):
                gone += batch
            rows[table.name] += gone
            say(f"omni2.{table.name}: {plural(gone, 'row')} of {day}.")
    connection.execute(_END, [pruning.pruning_id])


def _archive(
    connection: Connection, pruning: Pruning, table: RawTable, day: date, of_day: dict[str, object]
) -> None:
    """Write what may go of a day, unless its file is there, and note what the file holds."""
    assert pruning.archive is not None  # noqa: S101 (the caller looked)
    query = sql.SQL(
        "{table} as raw"
        " where {may_go} and raw.timestamp >= %(from_at)s and raw.timestamp < %(to_at)s"
    ).format(table=table.identifier, may_go=table.may_go(connection))
    rows = archiving.Rows(table.name, query, of_day)
    path = archiving.file_of(pruning.archive, pruning.pruning_id, table.name, day)
    archiving.write(connection, path, rows, pruning.mark)
    make, empty, fill, count = (statement.encode() for statement in _NOTE_ARCHIVED)
    connection.execute(make)
    connection.execute(empty)
    with connection.cursor() as cursor, cursor.copy(fill) as copy:
        for row_id in archiving.ids(path):
            copy.write_row([row_id])
    connection.execute(count)


def _in_batches(
    connection: Connection,
    pruning: Pruning,
    table: RawTable,
    of_day: dict[str, object],
    pace: Pace,
) -> Iterator[int]:
    """Remove what may go of a day, each batch in a transaction of its own; yields its rows."""
    size = Size()
    remove = sql.SQL(_REMOVE).format(
        table=table.identifier,
        may_go=table.may_go(connection),
        archived=sql.SQL("true" if pruning.archive is None else _ARCHIVED),
    )
    count_up = sql.SQL(_COUNT_UP).format(counter=sql.Identifier(table.counter))
    while True:
        began = time.monotonic()
        with connection.transaction():
            gone = connection.execute(remove, {**of_day, "rows": size.rows}).rowcount
            connection.execute(_TAKE_BACK)
            connection.execute(count_up, [gone, pruning.pruning_id])
        if gone == 0:
            return
        yield gone
        took = time.monotonic() - began
        size.learn(gone, took)
        pace.rest(connection, took)


def _alone(connection: Connection) -> AbstractContextManager[None]:
    return only_one(
        connection, _LOCK, "Another removal of rows is at work; wait until it has ended."
    )
