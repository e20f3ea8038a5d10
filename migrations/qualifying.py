"""What earlier merges noted of the old table, with each name written in full.

They noted types and defaults as a session with the gateway's search path reads them, and ours have
none of that. The server itself writes them anew, off an empty table of those columns.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import psycopg
from psycopg import sql

from migrations.columns import read_columns
from migrations.placing import Carried
from omniledger.database import Connection, as_json

_SHAPES = "select id, shape from ledger.merge_runs order by id"
_NOTE = "update ledger.merge_runs set shape = %s where id = %s"
_SCRATCH = "omniledger_shape"


def qualify_shapes(connection: Connection) -> None:
    """Note each merge's columns with names in full, where they aren't.

    What is there no more under its name, or never was, as on the copy of another server's notes,
    is left as it was.

    Args:
        connection: inside a transaction.
    """
    for run_id, shape in connection.execute(_SHAPES).fetchall():
        columns = [Carried(**column) for column in shape["columns"]]
        if _written(connection, columns) is not None:
            continue
        found = _written(connection, columns, "reset search_path")
        if found is not None:
            changed: dict[str, Any] = {**shape, "columns": [asdict(column) for column in found]}
            connection.execute(_NOTE, (as_json(changed), run_id))


def _written(connection: Connection, columns: list[Carried], *before: str) -> list[Carried] | None:
    """The columns as our sessions write them; None where a name of theirs can't be found."""
    create = sql.SQL("create temporary table {} ({})").format(
        sql.Identifier(_SCRATCH), sql.SQL(", ").join(map(_definition, columns))
    )
    path = connection.execute("select current_setting('search_path')").fetchone()
    try:
        with connection.transaction(force_rollback=True):
            for statement in before:
                connection.execute(statement.encode())
            connection.execute(create)
            connection.execute("select set_config('search_path', %s, true)", path)
            made = {c.name: c for c in read_columns(connection, f"pg_temp.{_SCRATCH}")}
    except psycopg.ProgrammingError:
        return None
    return [
        replace(
            column,
            type=made[column.name].type,
            default=column.default and made[column.name].default,
            generated=column.generated and (made[column.name].default or ""),
        )
        for column in columns
    ]


def _definition(column: Carried) -> sql.Composed:
    more = ""
    if column.default:
        more = f" default ({column.default})"
    if column.generated:
        more = f" generated always as ({column.generated}) stored"
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type + more))
