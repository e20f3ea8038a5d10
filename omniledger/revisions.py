"""Alembic's commands on a database of our choice."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import psycopg

from omniledger import database
from omniledger.catalog import is_there
from omniledger.database import Dsn
from omniledger.errors import NotReadyError
from omniledger.settings import MIGRATIONS_DIR

if TYPE_CHECKING:
    from alembic.config import Config

MERGED_AT = "0007"
"""The revision that merges; from it on a merge that was put off can be run."""

REPLACED_AT = "0024"
"""The revision from which on redundant indexes are replaced."""

LOST = "the revision is lost: the ledger is there, and ledger.alembic_version has no row"

SAY_AGAIN = "Say it again with `alembic stamp REVISION` (`head`, where this version upgraded it)."


def upgrade(dsn: Dsn, revision: str = "head", *options: str) -> None:
    """Bring the database to a revision.

    Args:
        options: what `alembic -x` takes, e.g. `merge=later`.

    Raises:
        DatabaseError: it can't be reached, or others held a lock for too long.
        NotReadyError: something there can't be carried; the sentence says what to do.
    """
    from alembic import command

    config = _config(dsn)
    config.cmd_opts = argparse.Namespace(x=list(options))
    command.upgrade(config, revision)


def downgrade(dsn: Dsn, revision: str) -> None:
    """Take the database back to a revision; errors as those of `upgrade`."""
    from alembic import command

    command.downgrade(_config(dsn), revision)


def _config(dsn: Dsn) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    config.attributes["dsn"] = dsn
    return config


def head() -> str:
    """The newest revision: file names begin with its number, so nothing need be imported."""
    return max(
        path.name.partition("_")[0] for path in (MIGRATIONS_DIR / "versions").glob("[0-9]*_*.py")
    )


def current(connection: database.Connection) -> str | None:
    """The revision that the database is at, or None before the first upgrade."""
    try:
        with connection.transaction():
            row = connection.execute("select version_num from ledger.alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return None if row is None else str(row[0])


def is_lost(connection: database.Connection, at: str | None) -> bool:
    """Whether the ledger is there, and nothing says to which revision it was upgraded.

    Args:
        at: the `current` revision.
    """
    return at is None and is_there(connection, "ledger.merge_runs")


def _not_lost(connection: database.Connection) -> str | None:
    """The `current` revision; a lost one is refused."""
    at = current(connection)
    if is_lost(connection, at):
        raise NotReadyError(f"{LOST[0].upper()}{LOST[1:]}. {SAY_AGAIN}")
    return at


def said(at: str | None) -> str:
    """Where a database is, for a sentence."""
    return f"at revision {at}" if at else "at no revision"


def require_head(connection: database.Connection) -> None:
    """Refuse a database that isn't upgraded, or is further than this program.

    Raises:
        NotReadyError: it isn't at the newest revision.
    """
    at, newest = _not_lost(connection), head()
    if at is not None and at > newest:
        raise NotReadyError(
            f"The database is at revision {at}, newer than this omniledger ({newest}); "
            "install the omniledger that upgraded it."
        )
    if at != newest:
        raise NotReadyError(
            f"The database is {said(at)}, not at {newest}; run `alembic upgrade head` first."
        )


def require_schema_steps(connection: database.Connection) -> None:
    """Refuse a database whose schema is not ready for the merge.

    Raises:
        NotReadyError: it says what to run.
    """
    at = _not_lost(connection)
    if at is None or at < MERGED_AT:
        raise NotReadyError(
            f"The database is {said(at)}; run `alembic upgrade head` first, or "
            "`alembic -x merge=later upgrade head` to leave the merge for later."
        )
