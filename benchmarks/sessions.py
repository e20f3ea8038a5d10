"""Sessions as the gateway has them: with the search path that the server gives, and not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from omniledger import database
from omniledger.database import Connection, Dsn


@contextmanager
def connect(dsn: Dsn, *, autocommit: bool = False) -> Iterator[Connection]:
    """A session for SQL that names tables without a schema, committed at the end."""
    with database.connect(dsn, autocommit=True) as connection:
        connection.execute("reset search_path")
        connection.autocommit = autocommit
        yield connection
