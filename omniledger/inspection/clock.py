"""What time it is for the database: its clock, or where a sample database's clock stands."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import psycopg

from omniledger.database import Connection

_STANDS_AT = "select value::timestamptz from ledger.settings where name = 'as_of'"


def now(connection: Connection) -> datetime:
    """The moment that everything is judged at.

    Args:
        connection: may be inside a transaction.
    """
    row = None
    try:
        with connection.transaction():
            row = connection.execute(_STANDS_AT).fetchone()
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.InsufficientPrivilege,
    ):
        pass
    [(moment,)] = [row] if row else connection.execute("select now()").fetchall()
    return cast(datetime, moment)
