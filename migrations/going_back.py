"""Rows that a way back would refuse half way: they are looked for before it begins.

The gateway's own columns are NOT NULL again below revision 0003. A check proves that while others
write, and is gone when the column is NOT NULL itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import psycopg
from psycopg import sql

from migrations.identifiers import shortened
from migrations.memory import noted, remembered
from migrations.patience import patiently
from omniledger.catalog import is_there
from omniledger.counting import plural
from omniledger.database import Connection
from omniledger.errors import NotReadyError, OmniledgerError

REQUIRED_BELOW = "0003"
"""The revision whose way back has the columns NOT NULL again."""

_TABLE = "omni2.audit_logs"
_LEDGER = sql.Identifier("omni2", "audit_logs")
_NAMED = 3

_LACKING = """
    select count(*), (array_agg(id::text order by id))[:{named}]
    from {table}
    where {column} is null and {which}
"""

_THERE = """
    select exists (
        select from pg_constraint where conrelid = to_regclass(%s) and conname = %s
    )
"""


def require_given(connection: Connection, *, merged: bool) -> None:
    """Refuse rows without what has to be there again.

    Args:
        merged: whether rows of the old name are still in the ledger; they leave it on the way.

    Raises:
        NotReadyError: it names the columns, the rows and what to do.
    """
    converted = noted(connection, "converted_columns")
    required = remembered(connection, "loosened_columns") | {n for n in converted if converted[n]}
    which = sql.SQL("legacy_id is null" if merged else "true")
    lacking = [said for name in sorted(required) if (said := _lacking(connection, name, which))]
    if lacking:
        raise NotReadyError(
            f"Rows of {_TABLE} can't go back below revision {REQUIRED_BELOW}, where they must have "
            f"what they lack: {'; '.join(lacking)}. None was changed: give them values, or delete "
            "them, then go back."
        )


def _lacking(connection: Connection, name: str, which: sql.SQL) -> str:
    query = sql.SQL(_LACKING).format(
        table=_LEDGER, column=sql.Identifier(name), which=which, named=sql.Literal(_NAMED)
    )
    [(rows, ids)] = connection.execute(query).fetchall()
    if not rows:
        return ""
    more = f" and {rows - _NAMED:,} more" if rows > _NAMED else ""
    return f"{name} in {plural(rows, 'row')} (id {', '.join(ids)}{more})"


def prove(connection: Connection, columns: Iterable[str]) -> None:
    """Prove that columns have a value in each row, so that NOT NULL takes an instant.

    Args:
        connection: outside of any transaction.

    Raises:
        NotReadyError: a row has none.
    """
    for name in columns:
        _drop(connection, name)
        for statement in (
            "alter table {table} add constraint {check} check ({column} is not null) not valid",
            "alter table {table} validate constraint {check}",
        ):
            try:
                patiently(connection, _TABLE, partial(connection.execute, _of(statement, name)))
            except psycopg.errors.CheckViolation:
                require_given(connection, merged=False)
                raise


def require(connection: Connection, columns: Iterable[str]) -> None:
    """Make columns NOT NULL that were proved to be; the table is locked."""
    for name in columns:
        connection.execute(_of("alter table {table} alter column {column} set not null", name))
        connection.execute(_of("alter table {table} drop constraint {check}", name))


@contextmanager
def no_check_left(connection: Connection) -> Iterator[None]:
    """Take off the checks of a way back that was stopped, now and where it is stopped inside.

    They would refuse rows of the old name, which may lack what is required of the gateway's.
    """
    _drop_all(connection)
    try:
        yield
    except BaseException:
        # Where it fails, too, the next upgrade or downgrade does it, and what went wrong is said.
        with suppress(psycopg.Error, OmniledgerError):
            _drop_all(connection)
        raise


def _drop_all(connection: Connection) -> None:
    if is_there(connection, _TABLE):
        for name in sorted(remembered(connection, "loosened_columns")):
            _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    if connection.execute(_THERE, [_TABLE, _check(name)]).fetchone() == (True,):
        drop = _of("alter table {table} drop constraint if exists {check}", name)
        patiently(connection, _TABLE, partial(connection.execute, drop))


def _check(name: str) -> str:
    return shortened(f"omniledger_{name}_required")


def _of(text: str, name: str) -> sql.Composed:
    return sql.SQL(text).format(
        table=_LEDGER, column=sql.Identifier(name), check=sql.Identifier(_check(name))
    )
