"""Where the database is, and how to speak to it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import conninfo, pq

from omniledger.errors import NotReadyError, SettingsError
from omniledger.explaining import explained, unreachable
from omniledger.settings import get_settings

Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST_SERVER = 130000
"""PostgreSQL 13 brought pg_current_xact_id(), which exact incremental models need."""

_PIN = """
    select pg_catalog.set_config(s.name, w.value, false)
    from pg_catalog.pg_settings as s
    inner join (
        values
        -- Poolers keep these apart for each of their clients.
        ('DateStyle', 'ISO', true),
        ('standard_conforming_strings', 'on', true),
        ('default_transaction_isolation', 'read committed', false),
        ('extra_float_digits', '1', false),
        ('idle_in_transaction_session_timeout', '0', false),
        ('idle_session_timeout', '0', false),
        ('lock_timeout', '0', false),
        ('quote_all_identifiers', 'off', false),
        -- Rather an error than the figures of those rows that a policy lets us see.
        ('row_security', 'off', false),
        -- Whoever can create in a schema of it could have us call what fits better than the
        -- server's own.
        ('search_path', 'pg_catalog, pg_temp', false),
        ('statement_timeout', '0', false),
        ('TimeZone', 'UTC', false),
        ('transaction_timeout', '0', false)
    ) as w (name, value, is_kept) on s.name = w.name
    where
        pg_catalog.split_part(s.setting, ',', 1) <> w.value
        and s.source <> 'client'
        and (w.is_kept or pg_catalog.pg_backend_pid() = %s)
"""
"""Make a session ours, but for what the address itself says of it.

A database or a role may have settings that suit a gateway. Times and numbers must read the same
everywhere, and a statement that builds an index or a year's figures takes as long as it takes. A
session that a pooler lends is as it was when it goes back.
"""

_PINNED = """
    select format('-c %%s=%%s', name, replace(setting, ' ', '\\ '))
    from pg_settings
    where source = 'session' and pg_backend_pid() = %s
"""
"""What `_PIN` had to change, as libpq's options."""

_ENCODE = "where a password has @, / or : in it, write %40, %2F and %3A"


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
    def parse(
        cls, url: str, called: str = "DATABASE_URL", environ: Mapping[str, str] = os.environ
    ) -> Dsn:
        """Read a libpq URL or keyword string, or an SQLAlchemy URL.

        Args:
            called: by what name people gave it.
            environ: libpq's variables, for what it leaves open.

        Raises:
            SettingsError: it is none of them; the sentence quotes nothing of it but an option's
                name, for a part of a password may stand anywhere in it.
        """
        # A file that keeps a secret mostly ends in a new line.
        url = url.strip()
        scheme, separator, rest = url.partition("://")
        if separator and scheme.split("+")[0] in ("postgresql", "postgres"):
            url = f"postgresql://{rest}"
        try:
            parts = {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items() if v is not None}
        except psycopg.ProgrammingError as error:
            unknown = re.search(r'(?:query parameter: |connection option )"(\w+)"', str(error))
            if unknown is not None:
                raise SettingsError(
                    f"{called} has the option {unknown[1]}, which is a driver's own and not "
                    "PostgreSQL's; leave it out, and ask for TLS with sslmode=require."
                ) from None
            raise SettingsError(
                f"{called} is no PostgreSQL address; write it like "
                "postgresql://user@host:5432/database."
            ) from None
        if "service" in parts:
            raise SettingsError(
                f"{called} names a service, which not every program here can look up; write "
                "its host, port, database and user instead."
            )
        user = parts.pop("user", "") or environ.get("PGUSER") or _login(called)
        host = parts.pop("host", environ.get("PGHOST") or "localhost")
        dbname = parts.pop("dbname", environ.get("PGDATABASE") or user)
        # What libpq takes for the host or the database is then the rest of the password.
        if "@" in host or (separator and "@" in dbname and "%40" not in rest):
            raise SettingsError(f"{called} has an @ too many; {_ENCODE}.")
        port = parts.pop("port", environ.get("PGPORT") or "5432")
        if "," in port:
            raise SettingsError(f"{called} names several servers; give the one that takes writes.")
        if not (port.isascii() and port.isdigit()):
            raise SettingsError(f"The port in {called} is no number; {_ENCODE}.")
        return cls(
            host=host,
            port=int(port),
            dbname=dbname,
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

    def url(self) -> str:
        """The libpq URL, password included."""
        secret = f":{_quoted(self.password)}" if self.password else ""
        host, options = self.host, dict(self.options)
        if host.startswith("/"):
            # The folder of a socket would be taken for the path.
            host, options = "", {"host": host, **options}
        elif ":" in host:
            host = f"[{host}]"
        query = "&".join(f"{name}={_quoted(value)}" for name, value in options.items())
        return (
            f"postgresql://{_quoted(self.user)}{secret}@{host}:{self.port}/{_quoted(self.dbname)}"
            + (f"?{query}" if query else "")
        )

    def environment(self) -> dict[str, str]:
        """The libpq environment variables, which dbt's profile and psql read."""
        known = {
            option.keyword.decode(): option.envvar.decode()
            for option in pq.Conninfo.get_defaults()
            if option.envvar
        }
        named = {known[name]: value for name, value in self.options if name in known}
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


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _login(called: str) -> str:
    """Who is logged in at this machine; a container may be run as an id that has no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise SettingsError(
            f"{called} names no user, and this machine has no name for whoever runs the command; "
            "write it like postgresql://user@host:5432/database."
        ) from None


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

    No limit of time holds in its session but those that the address itself gives it.

    Raises:
        DatabaseError: no connection; the sentence says which server and what to look at.
        NotReadyError: the server is older than PostgreSQL 13.
    """
    dsn = dsn or target()
    try:
        connection = _open(
            dsn.conninfo(),
            autocommit,
            **{"application_name": "omniledger", "connect_timeout": 10, **parameters},
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
    """A further connection to the same database, as the same user, with the same care."""
    info = connection.info
    secret = {"password": info.password} if info.password else {}
    return _open(conninfo.make_conninfo(info.dsn, **secret), autocommit)


def _open(address: str, autocommit: bool, **parameters: Any) -> Connection:
    """A connection whose session is as `_PIN` says, whatever the server gives its sessions."""
    connection = psycopg.connect(
        address,
        autocommit=True,
        **{
            # Where the database names none, text would be bytes.
            "client_encoding": "utf8",
            # A plan for any values walks whole tables where one for its own looks into an
            # index, and behind a pooler the next transaction's session knows nothing of it.
            "prepare_threshold": None,
            **parameters,
        },
    )
    try:
        connection.execute(_PIN, (connection.info.backend_pid,))
    except psycopg.errors.QueryCanceled:
        # A new session reads the catalogs first; the database's own limit may be too short for it.
        connection.execute(_PIN, (connection.info.backend_pid,))
    connection.autocommit = autocommit
    return connection


def pinned(dsn: Dsn) -> Dsn:
    """The same database for a library that opens its sessions itself: as `connect` has them."""
    with connect(dsn, autocommit=True) as connection:
        pins = [pin for (pin,) in connection.execute(_PINNED, (connection.info.backend_pid,))]
    if not pins:
        return dsn
    options = dict(dsn.options)
    given = options.get("options") or os.environ.get("PGOPTIONS", "")
    options["options"] = " ".join([given, *pins])
    return replace(dsn, options=tuple(options.items()))


def as_json(value: object) -> str:
    """A value as JSON for the database, letters as they are; times and numbers become text.

    Where the database names no encoding, jsonb refuses an escape beyond ASCII.
    """
    return json.dumps(value, default=str, ensure_ascii=False)


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
