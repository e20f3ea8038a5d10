"""The foreign server by which an analytics server reads its source, its password told to no log."""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import pq, sql

from omniledger.analytics.copied import FOREIGN, SERVER
from omniledger.database import Connection, Dsn
from omniledger.errors import NotReadyError, SettingsError

# A statement's text may be logged, is shown to others while it runs, and is kept by
# pg_stat_statements; so the password is never part of one. An error that is raised anew has no
# context, in which it would be quoted.
_MAP_USER = """
do $omniledger$
begin
    execute format(
        'create user mapping for %I server omniledger_source options (user %L, password %L)',
        current_setting('omniledger.link_for'),
        current_setting('omniledger.link_user'),
        current_setting('omniledger.link_password')
    );
exception
    when others then raise exception using message = sqlerrm, errcode = sqlstate;
end
$omniledger$
"""
_SAY = """
select
    set_config('omniledger.link_for', %s, true),
    set_config('omniledger.link_user', %s, true),
    set_config('omniledger.link_password', %s, true)
"""

_HUSH = (
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    ("auto_explain.log_min_duration", "-1"),
    ("pg_stat_statements.track", "none"),
    ("pgaudit.log", "none"),
)
"""What keeps bound values, and statements inside of others, from being kept, where this login may
say so."""

# How long a statement takes, and whether its transaction is sampled, nobody can promise.
_WOULD_KEEP = """
    select name
    from pg_settings
    where
        case name
            when 'log_parameter_max_length' then setting <> '0' and (
                current_setting('log_statement') = 'all'
                or current_setting('log_min_duration_statement') <> '-1'
                or current_setting('log_min_duration_sample') <> '-1'
                or current_setting('log_transaction_sample_rate')::float > 0
            )
            when 'auto_explain.log_min_duration'
                then
                    setting <> '-1'
                    and current_setting('auto_explain.log_parameter_max_length', true) <> '0'
            when 'pg_stat_statements.track' then setting = 'all'
            when 'pgaudit.log' then setting not in ('', 'none')
            else false
        end
    order by name
"""

_SECRET = {
    option.keyword.decode()
    for option in pq.Conninfo.get_defaults()
    if b"*" in option.dispchar and option.keyword != b"password"
}
"""Options of an address that are secrets, and that nobody has a hidden way for."""


def require_hidden(source: Dsn) -> None:
    """Refuse a secret that could only be said in a statement's text, before anything is said.

    Raises:
        SettingsError: it names the option.
    """
    for name in sorted(_SECRET.intersection(dict(source.options))):
        raise SettingsError(
            f"The source's address has the option {name}, which a server would log in plain text; "
            "leave it out, and log in with a password or with a key that has none."
        )


def make_link(connection: Connection, source: Dsn, run_as: str) -> None:
    """Make the foreign server anew, for two logins, and the schema of its tables.

    Raises:
        NotReadyError: a right is missing, or the server would keep the password.
    """
    for setting in _HUSH:
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("select set_config(%s, %s, true)", setting)
    login = _login(connection)
    try:
        connection.execute("create extension if not exists postgres_fdw schema public")
    except psycopg.errors.InsufficientPrivilege:
        raise NotReadyError(
            "This login may not create the extension postgres_fdw: have an administrator run "
            "`create extension postgres_fdw; grant usage on foreign data wrapper postgres_fdw to "
            f"{login};`, then attach again."
        ) from None
    connection.execute(of_link("drop server if exists {server} cascade"))
    options = {
        "connect_timeout": "10",
        "keepalives_idle": "30",
        "application_name": "omniledger analytics",
        **dict(source.options),
        "host": source.host,
        "port": str(source.port),
        "dbname": source.dbname,
        "fetch_size": "10000",
        "updatable": "false",
    }
    listed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in options.items()
    )
    connection.execute(
        of_link(
            "create server {server} foreign data wrapper postgres_fdw options ({options})",
            options=listed,
        )
    )
    if source.password:
        _require_discreet(connection, login)
    for reader in {run_as, connection.info.user}:
        connection.execute(_SAY, [reader, source.user, source.password])
        connection.execute(_MAP_USER)
    connection.execute(_SAY, ["", "", ""])
    connection.execute(of_link("create schema if not exists {foreign}"))


def _require_discreet(connection: Connection, login: str) -> None:
    """Refuse a server that would write the password into its log or its statistics."""
    quiet = dict(_HUSH)
    changes = [
        f"`alter role {login} set {name} = {quiet[name]}`"
        for (name,) in connection.execute(_WOULD_KEEP)
    ]
    if changes:
        raise NotReadyError(
            "The analytics server writes the values of statements to its log or its statistics, "
            "and would write the source's password there: have an administrator run "
            f"{' and '.join(changes)}, then attach again."
        )


def _login(connection: Connection) -> str:
    """This login, as a statement names it."""
    [(login,)] = connection.execute("select quote_ident(session_user)").fetchall()
    return str(login)


def of_link(text: str, **parts: sql.Composable) -> sql.Composed:
    """A statement about the foreign server or the schema of its tables."""
    names = {"server": sql.Identifier(SERVER), "foreign": sql.Identifier(FOREIGN)}
    return sql.SQL(text).format(**names, **parts)
