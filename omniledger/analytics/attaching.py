"""Attach an analytics server to the database whose figures it is to build, and detach it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from migrations.roles import granting
from omniledger import revisions
from omniledger.analytics.copied import COPY, GATEWAY, LEDGER, LOGS, READ_ONLY, Table
from omniledger.analytics.foreign_server import make_link, of_link, require_hidden
from omniledger.analytics.link import (
    Snapshot,
    is_attached,
    is_copy,
    require_attached,
    snapshot,
    speaking_of_source,
)
from omniledger.catalog import columns_of
from omniledger.database import Connection, Dsn, session
from omniledger.errors import NotReadyError
from omniledger.settings import Settings

OLDEST_SERVER = 140000
"""Ranges of time are put together by `range_agg`, which came with PostgreSQL 14."""

_HAS_ROWS = "select exists (select from {table})"

_COLUMNS = """
select column_name, column_type
from source.source_columns
where table_schema = %s and table_name = %s
order by position
"""

_UNLESS_DONE = """
where
    to_regclass(%(name)s) is not null
    and to_regclass(%(name)s) not in (select logicalrelid from pg_dist_partition)
"""
_DEAL_OUT = "select create_distributed_table(%(name)s, 'id')" + _UNLESS_DONE
_REFER = "select create_reference_table(%(name)s)" + _UNLESS_DONE

_RIGHTS = (
    "grant usage on schema omni2, auth_service, ledger, {foreign} to {login}",
    "grant select on all tables in schema {foreign} to {login}",
    "grant select, insert, update, delete on all tables in schema omni2, auth_service to {login}",
    "grant select, insert, delete on ledger.deleted_days, ledger.audit_quarantine,"
    " ledger.merge_runs to {login}",
    "grant insert on ledger.prunings to {login}",
)
"""What a login needs to copy; all else its role omniledger_runner has."""

_OF_VIEWS = {
    "source_snapshot": (
        ("identity", "text"),
        ("oldest_xid", "bigint"),
        ("next_xid", "bigint"),
        ("revision", "text"),
        ("pruned_before", "timestamp with time zone"),
    ),
    "source_columns": (
        ("table_schema", "text"),
        ("table_name", "text"),
        ("position", "integer"),
        ("column_name", "text"),
        ("column_type", "text"),
    ),
    "deleted_days": (
        ("source_table", "text"),
        ("period_start", "timestamp with time zone"),
        ("change_xid", "bigint"),
    ),
}

_INDEXES = {
    "audit_logs": ("(timestamp)", "(mcp_target, timestamp desc)", "(user_id, timestamp)"),
    "mcp_health_log": ("(timestamp)", "(mcp_server_id, timestamp desc)"),
}

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Attached:
    """What attaching found at the source and on the server."""

    pruned_before: datetime | None
    has_citus: bool


def attach(dsn: Dsn, source: Dsn, settings: Settings, run_as: str | None = None) -> Attached:
    """Make `dsn` keep a copy of `source`; the first run fills it. It can be done again.

    Args:
        dsn: the analytics server's database: empty, or attached before.
        source: the gateway's, by the address that the analytics server reaches it under.
        run_as: the login that runs on the analytics server, by default the one that attaches.

    Raises:
        NotReadyError: the database has rows of its own or is the source, or a right is missing.
        SettingsError: the source's address has a secret that can't be kept.
        PassingError: the analytics server can't reach the source.
    """
    require_hidden(source)
    with session(dsn) as connection:
        _require_fit(connection, settings)
        is_at_head = revisions.current(connection) == revisions.head()
    if not is_at_head:
        revisions.upgrade(dsn)
    # One transaction: what is hushed is hushed to its end.
    with session(dsn) as connection, speaking_of_source(), connection.transaction():
        make_link(connection, source, run_as or dsn.user)
        for table in READ_ONLY:
            _make_foreign(connection, table, _OF_VIEWS[table.name])
        found = snapshot(connection)
        _require_another(connection, found)
        made = [table for table in (*LOGS, *GATEWAY, *LEDGER) if _make_copy(connection, table)]
        if any(table in LOGS for table in made):
            connection.execute("delete from ledger.ingests")
        has_citus = _distribute(connection)
        connection.execute("select ledger.refresh_limits()")
        connection.execute(granting(settings.legacy_schema).encode())
        _let_run(connection, run_as or dsn.user)
        return Attached(found.pruned_before, has_citus)


def detach(dsn: Dsn) -> None:
    """Forget the source and its password; the copy and the figures stay as they are.

    Raises:
        NotReadyError: the database isn't attached.
    """
    with session(dsn) as connection:
        require_attached(connection)
        connection.execute(of_link("drop server {server} cascade"))
        connection.execute(of_link("drop schema {foreign} cascade"))


def _require_fit(connection: Connection, settings: Settings) -> None:
    """Refuse a database in which a table with rows of its own would be replaced by a copy."""
    if connection.info.server_version < OLDEST_SERVER:
        raise NotReadyError("An analytics server needs PostgreSQL 14 or newer.")
    old = () if is_attached(connection) else (Table(settings.legacy_schema, "audit_logs"),)
    for table in (*old, *LOGS, *GATEWAY):
        with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            with connection.transaction():
                query = sql.SQL(_HAS_ROWS).format(table=table.copy)
                has_rows = connection.execute(query).fetchone() == (True,)
            if has_rows and not is_copy(connection, table):
                raise NotReadyError(
                    f"This database has rows of its own in {table.schema}.{table.name}: name an "
                    "empty database in DATABASE_URL, where the analytics are to live."
                )


def _require_another(connection: Connection, source: Snapshot) -> None:
    """Refuse a database as the source of itself: its tables would be replaced by empty ones."""
    if connection.execute("select ledger.source_identity()").fetchone() == (source.identity,):
        raise NotReadyError(
            "The source is this database itself: name an empty one in DATABASE_URL, where the "
            "analytics are to live."
        )


def _make_foreign(connection: Connection, table: Table, columns: Columns) -> None:
    defined = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns
    )
    connection.execute(
        of_link(
            "create foreign table {table} ({columns}) server {server}"
            " options (schema_name {schema_name}, table_name {table_name})",
            table=table.foreign,
            columns=defined,
            schema_name=sql.Literal(table.schema),
            table_name=sql.Literal(table.name),
        )
    )


def _make_copy(connection: Connection, table: Table) -> bool:
    """Make the foreign table and its copy.

    Returns:
        Whether the copy was made anew, and so is empty: there was none, or it had other columns.
    """
    there = tuple(connection.execute(_COLUMNS, [table.schema, table.name]).fetchall())
    wanted = tuple(c for c in there if not table.columns or c[0] in table.columns)
    if wanted:
        _make_foreign(connection, table, wanted)
    here = tuple(columns_of(connection, f"{table.schema}.{table.name}").items())
    if not table.columns or (here == wanted and is_copy(connection, table)):
        return False
    connection.execute(sql.SQL("drop table if exists {} cascade").format(table.copy))
    if not wanted:
        return True
    # Plain, without triggers and checks: what the source took, its copy takes.
    make = sql.SQL("create table {} (like {})").format(table.copy, table.foreign)
    connection.execute(make)
    key = "add primary key (id)" if "id" in table.columns else "replica identity full"
    connection.execute(sql.SQL("alter table {} " + key).format(table.copy))
    connection.execute(sql.SQL("comment on table {} is {}").format(table.copy, sql.Literal(COPY)))
    if table not in LOGS:
        return True
    on = sql.SQL("create index on {} ").format(table.copy)
    for definition in _INDEXES[table.name]:
        connection.execute(on + sql.SQL(definition))
    changes = sql.SQL("using brin (change_xid int8_minmax_multi_ops) with (pages_per_range = 32)")
    connection.execute(on + changes)
    connection.execute(
        sql.SQL(
            "alter table {} alter change_xid set default (pg_current_xact_id()::text::bigint)"
        ).format(table.copy)
    )
    return True


def _distribute(connection: Connection) -> bool:
    """Where Citus is there, deal the logs out to its workers, and give each the small tables."""
    if not connection.execute("select from pg_extension where extname = 'citus'").fetchall():
        return False
    calls = [(log, _DEAL_OUT) for log in LOGS] + [(table, _REFER) for table in (*GATEWAY, *LEDGER)]
    for table, call in calls:
        connection.execute(call, {"name": f"{table.schema}.{table.name}"})
    return True


def _let_run(connection: Connection, run_as: str) -> None:
    """Give the login that runs the rights to copy."""
    if run_as != connection.info.user:
        for right in _RIGHTS:
            connection.execute(of_link(right, login=sql.Identifier(run_as)))
