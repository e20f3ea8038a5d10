"""The index that the logs dialog searches with, where the extension pg_trgm can be had."""

import logging

import psycopg
from psycopg import sql

from migrations.indexing import build_concurrently
from omniledger.database import Connection
from omniledger.explaining import first_line

_LOG = logging.getLogger("alembic.runtime.migration")

_AUDIT_INDEX = "omniledger_audit_logs_search"
_USERS_INDEX = "omniledger_users_search"

# The list of what was inserted last is read by each search, so it is kept short.
_INDEXES = (
    (
        "auth_service",
        _USERS_INDEX,
        "create index concurrently {name} on auth_service.users"
        ' using gin ((cast(email as text) collate "default") {ops})',
    ),
    (
        "omni2",
        _AUDIT_INDEX,
        "create index concurrently {name} on omni2.audit_logs using gin ("
        "ledger.audit_keys(mcp_target, mcps_accessed, user_id),"
        " (ledger.audit_text(question, tool_called, tools_used, error_message, result_summary)"
        ' collate "default") {ops}'
        ") with (gin_pending_list_limit = 256)",
    ),
)

_SCHEMA = """
    select n.nspname
    from pg_extension as e
    inner join pg_namespace as n on e.extnamespace = n.oid
    where e.extname = 'pg_trgm'
"""
_OURS = "search_extension"
_REMEMBER = (
    "insert into ledger.settings (name, value) values (%s, 'pg_trgm') on conflict do nothing"
)


def build_search(connection: Connection) -> bool:
    """Build the indexes that search needs, without blocking a writer; repeatable.

    Args:
        connection: in autocommit.

    Returns:
        Whether search has its index. Without pg_trgm it looks through the newest calls only.
    """
    schema = _schema(connection) or _create_extension(connection)
    if schema is None:
        return False
    for place, name, statement in _INDEXES:
        index = sql.Identifier(place, name)
        create = sql.SQL(statement).format(
            name=sql.Identifier(name), ops=sql.Identifier(schema, "gin_trgm_ops")
        )
        build_concurrently(connection, index, create)
    return True


def drop_search(connection: Connection) -> None:
    """Drop the indexes, and the extension if it is ours and nobody else uses it."""
    for place, name, _ in _INDEXES:
        index = sql.Identifier(place, name)
        connection.execute(sql.SQL("drop index concurrently if exists {}").format(index))
    forgotten = connection.execute("delete from ledger.settings where name = %s", [_OURS])
    if forgotten.rowcount:
        try:
            connection.execute("drop extension if exists pg_trgm")
        except psycopg.errors.DependentObjectsStillExist:
            _LOG.info("pg_trgm stays: others use it by now")


def _schema(connection: Connection) -> str | None:
    row = connection.execute(_SCHEMA).fetchone()
    return None if row is None else str(row[0])


def _create_extension(connection: Connection) -> str | None:
    """Create pg_trgm in a schema of ours, if this database and this user may have it."""
    try:
        with connection.transaction():
            connection.execute("create extension pg_trgm schema ledger")
            connection.execute(_REMEMBER, [_OURS])
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedFile,
        psycopg.errors.FeatureNotSupported,
    ) as error:
        _LOG.warning(
            "The logs dialog searches only the newest 10,000 calls of a server, for pg_trgm can't"
            " be had: %s. Once an administrator has run `create extension pg_trgm`,"
            " `omniledger logs index` builds the index.",
            first_line(error),
        )
    return _schema(connection)
