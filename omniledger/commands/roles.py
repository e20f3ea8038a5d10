"""`omniledger roles`: who may do what in the database."""

from __future__ import annotations

import click


@click.group()
def roles() -> None:
    """The database roles and their rights. They are omniledger_owner, _writer, _runner, _reader.

    \b
    Example:
      omniledger roles sql
    """


@roles.command("sql")
def roles_sql() -> None:
    """Print the SQL that makes the roles. It grants them what they need, and can be run again.

    `alembic upgrade head` does the same where its login has CREATEROLE. Else an administrator
    runs this once, after the upgrade.

    \b
    Example:
      omniledger roles sql | psql -v ON_ERROR_STOP=1 gateway
    """
    from migrations.roles import granting
    from omniledger.settings import get_settings

    click.echo(granting(get_settings().legacy_schema).strip())
