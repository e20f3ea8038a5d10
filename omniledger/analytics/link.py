"""The way to the source: what is known of it, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from omniledger import revisions
from omniledger.analytics.copied import COPY, LOGS, SERVER, Table
from omniledger.database import Connection
from omniledger.errors import DatabaseError, NotReadyError, PassingError
from omniledger.explaining import first_line, is_passing

_IS_ATTACHED = "select exists (select from pg_foreign_server where srvname = %s)"

_IS_COPY = """
select exists (
    select
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname = %s and c.relname = %s and obj_description(c.oid, 'pg_class') = %s
)
"""

_SNAPSHOT = """
select identity, oldest_xid, next_xid, revision, pruned_before
from source.source_snapshot
"""

_GONE = ("08", "57", "40", "55", "53", "58")
"""Classes of errors after which the source may be well again the next time."""


@dataclass(frozen=True)
class Snapshot:
    """The source as one transaction sees it: who it is, and which transactions were under way."""

    identity: str
    oldest_xid: int
    next_xid: int
    revision: str
    pruned_before: datetime | None


def is_attached(connection: Connection) -> bool:
    """Whether this database keeps a copy of a source."""
    return connection.execute(_IS_ATTACHED, [SERVER]).fetchone() == (True,)


def is_copy(connection: Connection, table: Table = LOGS[0]) -> bool:
    """Whether a table is a copy of a source's, also where that was detached since.

    It takes no rights to ask.
    """
    return connection.execute(_IS_COPY, [table.schema, table.name, COPY]).fetchone() == (True,)


def require_attached(connection: Connection) -> None:
    """Refuse a database that has no source.

    Raises:
        NotReadyError: it isn't attached.
    """
    if not is_attached(connection):
        raise NotReadyError(
            "This database is attached to no source; name the analytics server in DATABASE_URL, "
            "and attach it with `omniledger analytics attach SOURCE_URL`."
        )


def require_own(connection: Connection) -> None:
    """Refuse what would be lost in a copy, or makes no sense of one.

    Raises:
        NotReadyError: this database is a copy.
    """
    if is_attached(connection):
        raise NotReadyError(
            "This database is a copy of its source's: do this there, with the source in "
            "DATABASE_URL; the next run here takes it over."
        )
    require_not_detached(connection)


def require_not_detached(connection: Connection) -> None:
    """Refuse a copy that nothing comes into any more.

    Raises:
        NotReadyError: this database's source was detached.
    """
    if is_copy(connection) and not is_attached(connection):
        raise NotReadyError(
            "This database is a copy whose source was detached, and takes nothing over any more: "
            "name the source in DATABASE_URL, or attach it here again with `omniledger analytics "
            "attach SOURCE_URL`."
        )


def snapshot(connection: Connection) -> Snapshot:
    """What the source says of itself; all that this transaction reads there is of that moment.

    Raises:
        NotReadyError: the source is at another revision than this program.
    """
    [row] = connection.execute(_SNAPSHOT).fetchall()
    found, newest = Snapshot(*row), revisions.head()
    if found.revision > newest:
        raise NotReadyError(
            f"The source is at revision {found.revision}, newer than this omniledger ({newest}); "
            "install the omniledger that upgraded it, and run `omniledger analytics attach` again."
        )
    if found.revision != newest:
        raise NotReadyError(
            f"The source is at revision {found.revision}, and this omniledger is made for "
            f"{newest}: run `alembic upgrade head` on both servers, and then "
            "`omniledger analytics attach` again."
        )
    return found


@contextmanager
def speaking_of_source() -> Iterator[None]:
    """Tell errors of the source from those of the analytics server.

    Raises:
        PassingError: the source went away or can't be reached.
        NotReadyError: it refuses; the sentence says what.
    """
    try:
        yield
    except psycopg.Error as error:
        state, said = error.sqlstate or "", first_line(error)
        is_remote = "remote SQL command" in (error.diag.context or "")
        if error.diag.message_detail and state.startswith("08"):
            said = error.diag.message_detail.strip().splitlines()[0].rstrip(".")
        if (state == "08001" and not is_passing(said)) or state.startswith("HV"):
            raise DatabaseError(
                f"The source can't be reached from the analytics server: {said}; look at the "
                "address and the login, and say them with `omniledger analytics attach` again."
            ) from None
        if state.startswith("08") or (is_remote and state.startswith(_GONE)):
            raise PassingError(
                f"The source can't be read: {said}; start it, or look at its address. The copy "
                "stays as it was, and the next run takes over what this one did not."
            ) from None
        if is_remote:
            raise NotReadyError(
                f"The source refuses to be read: {said}; bring it to the newest revision with "
                "`alembic upgrade head`, and let the login of the link read its schemas omni2, "
                "auth_service and ledger, as omniledger_runner may."
            ) from None
        raise
