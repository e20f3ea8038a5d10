"""Where the database is, and how to speak to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import conninfo

from omniledger.errors import (
    DatabaseError,
    NotReadyError,
    OmniledgerError,
    PassingError,
    SettingsError,
)
from omniledger.settings import get_settings

if TYPE_CHECKING:
    import sqlalchemy as sa

Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST_SERVER = 130000
"""PostgreSQL 13 brought pg_current_xact_id(), which exact incremental models need."""

_AGAIN = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock timeout: what the next attempt may not meet."""

_PASSING = re.compile(
    "server closed the connection|terminating connection|connection (?:already closed|refused)"
    "|could not connect|the database system is|could not serialize|deadlock detected"
    "|due to lock timeout",
    re.IGNORECASE,
)
"""The words of PostgreSQL and its drivers where a library keeps no more than those."""

_LIBPQ_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "channel_binding": "PGCHANNELBINDING",
}


@dataclass(frozen=True)
class Dsn:
    """One database, in every spelling that its clients ask for."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(default="", repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: str) -> Dsn:
        """Read a libpq URL or keyword string, or an SQLAlchemy URL.

        Raises:
            SettingsError: it is none of them.
        """
        scheme, separator, rest = url.partition("://")
        if separator and scheme.split("+")[0] in ("postgresql", "postgres"):
            url = f"postgresql://{rest}"
        try:
            parts = {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items() if v is not None}
        except psycopg.ProgrammingError:
            raise SettingsError(
                "DATABASE_URL is no PostgreSQL address; write it like "
                "postgresql://user@host:5432/database."
            ) from None
        environ = os.environ
        user = parts.pop("user", environ.get("PGUSER") or _login())
        try:
            port = int(parts.pop("port", environ.get("PGPORT") or "5432"))
        except ValueError:
            raise SettingsError(
                "DATABASE_URL names several ports; give the one server that takes writes."
            ) from None
        return cls(
            host=parts.pop("host", environ.get("PGHOST") or "localhost"),
            port=port,
            dbname=parts.pop("dbname", environ.get("PGDATABASE") or user),
            user=user,
            password=parts.pop("password", environ.get("PGPASSWORD") or ""),
            options=tuple(sorted(parts.items())),
        )

    def conninfo(self) -> str:
        """The libpq keyword string."""
        secret = {"password": self.password} if self.password else {}
        return conninfo.make_conninfo(
            "",
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=self.user,
            **secret,
            **dict(self.options),
        )

    def sqlalchemy_url(self, driver: str = "psycopg") -> sa.URL:
        """The SQLAlchemy URL, for `psycopg` or `psycopg2`."""
        import sqlalchemy as sa

        return sa.URL.create(
            f"postgresql+{driver}",
            username=self.user,
            password=self.password or None,
            host=self.host,
            port=self.port,
            database=self.dbname,
            query=dict(self.options),
        )

    def url(self) -> str:
        """The libpq URL, password included."""
        url = self.sqlalchemy_url().set(drivername="postgresql").render_as_string(False)
        address, mark, options = url.partition("?")
        # To libpq a plus sign is no space.
        return address + mark + options.replace("+", "%20")

    def environment(self) -> dict[str, str]:
        """The libpq environment variables, which dbt's profile and psql read."""
        named = {_LIBPQ_VARIABLES[k]: v for k, v in self.options if k in _LIBPQ_VARIABLES}
        secret = {"PGPASSWORD": self.password} if self.password else {}
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": self.dbname,
            **secret,
            **named,
        }

    def safe(self) -> str:
        """How people are told of it: no password."""
        return f"{self.dbname} on {self.host}:{self.port} as {self.user}"


def _login() -> str:
    import getpass

    return getpass.getuser()


@cache
def target() -> Dsn:
    """The database of this process: `DATABASE_URL`, else the embedded one, started and leased.

    Raises:
        SettingsError: `DATABASE_URL` is no address.
        LocalError: the embedded server can't start.
    """
    settings = get_settings()
    if settings.database_url is not None:
        return Dsn.parse(settings.database_url.get_secret_value())
    return embedded_dsn()


def embedded_dsn() -> Dsn:
    """The embedded database, started where it isn't running, kept up for this process's life."""
    from omniledger.embedded import EmbeddedServer

    endpoint = EmbeddedServer(get_settings().home / "postgres").lease_for_process()
    return Dsn(
        host=endpoint.host,
        port=endpoint.port,
        dbname=endpoint.dbname,
        user=endpoint.user,
        password=endpoint.password,
    )


def connect(dsn: Dsn | None = None, *, autocommit: bool = False, **parameters: Any) -> Connection:
    """Open a connection to `dsn`, by default to this process's database.

    Nothing is prepared: behind a pooler the next transaction may be another session's, which knows
    nothing of it.

    Raises:
        DatabaseError: no connection; the sentence says which server and what to look at.
        NotReadyError: the server is older than PostgreSQL 13.
    """
    dsn = dsn or target()
    try:
        connection = psycopg.connect(
            dsn.conninfo(),
            autocommit=autocommit,
            **{
                "application_name": "omniledger",
                "connect_timeout": 10,
                # A plan for any values walks whole tables where one for its own looks into an
                # index, and behind a pooler the next transaction's session knows nothing of it.
                "prepare_threshold": None,
                **parameters,
            },
        )
    except psycopg.OperationalError as error:
        raise unreachable(error, dsn) from None
    if connection.info.server_version < OLDEST_SERVER:
        version = connection.info.server_version // 10000
        connection.close()
        raise NotReadyError(
            f"The server of {dsn.safe()} is PostgreSQL {version}; omniledger needs 13 or newer."
        )
    return connection


def another(connection: Connection, *, autocommit: bool = False) -> Connection:
    """A further connection to the same database, as the same user, which prepares nothing."""
    info = connection.info
    secret = {"password": info.password} if info.password else {}
    return psycopg.connect(
        conninfo.make_conninfo(info.dsn, **secret), autocommit=autocommit, prepare_threshold=None
    )


@contextmanager
def session(
    dsn: Dsn | None = None, *, autocommit: bool = False, **parameters: Any
) -> Iterator[Connection]:
    """A connection that is committed or rolled back at the end, and speaks in our errors.

    Raises:
        DatabaseError: the database can't be reached, or went away.
        NotReadyError: it refused a statement.
    """
    dsn = dsn or target()
    try:
        with connect(dsn, autocommit=autocommit, **parameters) as connection:
            yield connection
    except psycopg.Error as error:
        raise explained(error, dsn) or error from error


def explained(error: BaseException, dsn: Dsn) -> OmniledgerError | None:
    """One sentence for what the database refused, or None for an error that isn't its own."""
    if not isinstance(error, psycopg.Error):
        return None
    if error.sqlstate == "42501":
        return NotReadyError(
            f"{dsn.user} may not do this: {first_line(error)}; "
            "run the command as the owner of the gateway's tables."
        )
    if error.sqlstate == "53100":
        return DatabaseError(
            f"The disk of {dsn.safe()} is full: {first_line(error)}; "
            "make room and run the command again, it goes on where it was."
        )
    if error.sqlstate == "25006":
        return takes_no_writes(dsn)
    if error.sqlstate in _AGAIN:
        return PassingError(
            f"Others were at work on the same rows or held a lock: {first_line(error)}; "
            "run the command again, it goes on where it was."
        )
    # Deadlocks and cancelled statements too are operational errors, yet the server is well.
    is_well = (error.sqlstate or "").startswith(("40", "55", "57014"))
    is_of_connection = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if is_of_connection and not is_well:
        return unreachable(error, dsn)
    if error.sqlstate is None:
        return None
    return NotReadyError(
        f"The database refused a step: {first_line(error)}; "
        "mend that and run the command again, it goes on where it was."
    )


def takes_no_writes(dsn: Dsn) -> NotReadyError:
    """One sentence for a server that only reads."""
    return NotReadyError(
        f"{dsn.safe()} takes no writes, as a replica or a database set to read-only does; "
        "name the server that takes them in DATABASE_URL."
    )


def unreachable(error: psycopg.Error, dsn: Dsn) -> DatabaseError:
    """One sentence for a connection that didn't come about, or broke."""
    text = str(error).lower()
    kind = DatabaseError
    if "password authentication failed" in text or "no password supplied" in text:
        way_out = "the server refuses the user or the password; look at DATABASE_URL"
    elif "certificate" in text:
        way_out = (
            "the server's certificate can't be checked; look at sslmode and sslrootcert in "
            "DATABASE_URL"
        )
    elif "ssl" in text:
        way_out = "the two sides don't agree on SSL; look at sslmode in DATABASE_URL"
    elif "does not exist" in text:
        way_out = "the server knows no such database or user; look at DATABASE_URL"
    elif "could not translate" in text or "resolve" in text or "name or service" in text:
        way_out = "the host name is unknown; look at DATABASE_URL"
    elif "refused" in text or "no such file" in text:
        kind = PassingError
        way_out = "nothing answers there; start the server or look at DATABASE_URL"
    elif "timeout" in text or "timed out" in text:
        kind = PassingError
        way_out = "the server doesn't answer in time; look at the network and at DATABASE_URL"
    else:
        kind = PassingError
        way_out = f"{first_line(error)}; run the command again when the server is well"
    return kind(f"Can't use the database {dsn.safe()}: {way_out}.")


def is_passing(text: str) -> bool:
    """Whether a library's words for an error are of a kind that passes (see `PassingError`)."""
    return _PASSING.search(text) is not None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the full stop at its end."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
