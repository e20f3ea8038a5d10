"""Move judged figures from `analytics_build` to `analytics`, all of them or none.

A day of a mart is moved when it was built by another run than the published one: the days carry
who built them (`built_at`, `built_xmin`), so rows are never compared one by one. That covers days
that an earlier, refused run built, and days that are gone from the build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from omniledger.database import Connection
from omniledger.errors import DatabaseError, GateRefused, NotReadyError, PassingError
from omniledger.explaining import first_line
from omniledger.forcing import record_force
from omniledger.marts import (
    BUILD,
    MARTS,
    PUBLISHED,
    Mart,
    changed_days,
    columns_in,
    columns_of_build,
    new_columns,
    query,
)
from omniledger.revised import USAGE, note_revisions
from omniledger.roles import share

_STAMPS = ("built_xmin", "built_at")
_LOCK = 7_310_579_642_188_301
"""The advisory lock of the one publisher, any number that nobody else uses."""

_ATTEMPTS = 40
"""How often half a second is waited for a table that a reader holds."""

_IS_DIFFERENT = """
select
    exists (select {columns} from {build} except select {columns} from {published})
    or exists (select {columns} from {published} except select {columns} from {build})
"""

_DELETE = "delete from {published} where {which}"
_INSERT = "insert into {published} ({columns}) select {columns} from {build} where {which}"
_OF_DAYS, _ALL = sql.SQL("{day} = any(%(days)s)"), sql.SQL("true")

_JUDGED = "select min(judged_at) from ledger.gate_results where run_id = %s"

_FAILED = """
select true
from ledger.gate_results
where run_id = %s and not passed and severity = 'stop'
limit 1
"""

# A run with other settings that is refused leaves these figures as they are.
_REMEMBER_SETTINGS = """
insert into ledger.settings (name, value)
select 'published_' || name, value
from ledger.settings
where name in ('default_model', 'reporting_timezone')
on conflict (name) do update set value = excluded.value
"""


@dataclass(frozen=True)
class Published:
    """What a run put before its readers: the days of each mart that changed, and their rows."""

    days: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    rows: int = 0
    dimensions: tuple[str, ...] = ()


def publish(connection: Connection, run_id: UUID, *, why: str | None = None) -> Published:
    """Put the changed days of every mart before the readers, in one transaction.

    The connection must not be in a transaction, or nothing is seen before that one is committed.

    Readers see the old figures until the end and the new ones from then on. A second publisher
    waits for the first. The run must have been judged, and nothing may have been built since. It
    must have passed the gate, unless `why` says why an operator publishes all the same, which is
    recorded in the same transaction.

    Raises:
        NotReadyError: a mart wasn't built, lost or retyped a column, or wasn't judged.
        GateRefused: the gate refused this run, and nobody says why to publish it all the same.
        DatabaseError: the database refuses, or went away.
    """
    with in_one_sentence("publish the figures"):
        gained: dict[str, dict[str, str]] = {}
        for mart in MARTS:
            with connection.transaction():
                added = gained[mart.name] = new_columns(connection, mart)
            if added:
                _add_columns(connection, mart, added)
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            for mart in MARTS:
                _create_published(connection, mart)
                # From here on nobody rebuilds what is being copied; readers don't mind.
                connection.execute(query("lock table {build} in share mode", mart))
            _require_judged(connection, run_id)
            if why is None:
                _require_passed(connection, run_id)
            note_revisions(connection, run_id, gained[USAGE])
            published = _move(connection)
            connection.execute(_REMEMBER_SETTINGS)
            if why is not None:
                record_force(connection, run_id, why, published)
            return published


def _move(connection: Connection) -> Published:
    days: dict[str, tuple[date, ...]] = {}
    dimensions: list[str] = []
    rows = 0
    for mart in MARTS:
        if mart.day is not None:
            days[mart.name] = changed_days(connection, mart)
            if days[mart.name]:
                rows += _replace(connection, mart, _OF_DAYS, list(days[mart.name]))
        elif _differs(connection, mart):
            dimensions.append(mart.name)
            rows += _replace(connection, mart, _ALL)
    return Published(days, rows, tuple(dimensions))


def _replace(
    connection: Connection, mart: Mart, which: sql.SQL, days: list[date] | None = None
) -> int:
    columns = _list(columns_of_build(connection, mart))
    rows = which.format(day=sql.Identifier(mart.day or ""))
    delete = query(_DELETE, mart, which=rows)
    insert = query(_INSERT, mart, columns=columns, which=rows)
    connection.execute(delete, {"days": days})
    return connection.execute(insert, {"days": days}).rowcount


def _differs(connection: Connection, mart: Mart) -> bool:
    """Whether a dimension says anything else than before; that it was rebuilt says nothing."""
    columns = _list(c for c in columns_of_build(connection, mart) if c not in _STAMPS)
    [(differs,)] = connection.execute(query(_IS_DIFFERENT, mart, columns=columns)).fetchall()
    return bool(differs)


def _create_published(connection: Connection, mart: Mart) -> None:
    """Make the published table as the built one is, keys and comments included, where it isn't."""
    columns_of_build(connection, mart)
    if columns_in(connection, PUBLISHED, mart):
        return
    # IF NOT EXISTS asks for the right to create a schema even where there is nothing to create.
    if connection.execute("select to_regnamespace(%s)", [PUBLISHED]).fetchone() == (None,):
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(PUBLISHED)))
    connection.execute(query("create table {published} (like {build} including all)", mart))
    # It has no key, and a publication of all tables would refuse to take rows out of it.
    connection.execute(query("alter table {published} replica identity full", mart))
    share(connection, PUBLISHED, mart.name)
    [(comment,)] = connection.execute(
        "select obj_description(to_regclass(%s))", [f"{BUILD}.{mart.name}"]
    ).fetchall()
    comment_on = query("comment on table {published} is {comment}", mart, comment=comment)
    connection.execute(comment_on)


def _add_columns(connection: Connection, mart: Mart, added: dict[str, str]) -> None:
    """Give the published table new columns.

    This comes before the figures move, in a transaction that ends at once: it is the only step
    for which a reader may have to wait, and it gives way to readers that are there already.
    """
    columns = sql.SQL(", ").join(
        sql.SQL("add column if not exists {} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in added.items()
    )
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '500ms'")
                connection.execute(
                    query("alter table {published} {columns}", mart, columns=columns)
                )
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == _ATTEMPTS - 1:
                raise NotReadyError(
                    f"Somebody holds {PUBLISHED}.{mart.name}, so it can't get its new columns; end "
                    f"that reader's transaction, then run again."
                ) from None


def _require_judged(connection: Connection, run_id: UUID) -> None:
    """See that what is built is whole and is what the gate has judged."""
    [(judged_at,)] = connection.execute(_JUDGED, [run_id]).fetchall()
    if judged_at is None:
        raise NotReadyError(
            f"The figures of the run {run_id} were not judged; start the run again with "
            f"`omniledger run`."
        )
    for mart in MARTS:
        newest = connection.execute(query("select max(built_at) from {build}", mart)).fetchall()
        if newest[0][0] is not None and newest[0][0] > judged_at:
            raise NotReadyError(
                f"{BUILD}.{mart.name} was built again after the run {run_id} was judged; start "
                f"the run again with `omniledger run`."
            )


def _require_passed(connection: Connection, run_id: UUID) -> None:
    if connection.execute(_FAILED, [run_id]).fetchone() is not None:
        raise GateRefused(
            f"The gate refused the run {run_id}; `omniledger gate explain {run_id}` says why, and "
            f"what was published before stands."
        )


def _list(columns: Any) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


@contextmanager
def in_one_sentence(doing: str) -> Iterator[None]:
    """Turn what the database says while `doing` something into a sentence that helps."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotReadyError(
            f"The database doesn't let this user {doing}: {first_line(error)}; grant the right or "
            f"name another user in DATABASE_URL."
        ) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise NotReadyError(
            f"The database isn't ready to {doing}: {first_line(error)}; `alembic upgrade head` and "
            f"`omniledger run` make what is missing."
        ) from None
    except psycopg.OperationalError as error:
        kind = DatabaseError if isinstance(error, psycopg.errors.DiskFull) else PassingError
        raise kind(
            f"The database went away, or was too busy, to {doing}: {first_line(error)}; run again."
        ) from None
