"""How Alembic reaches the database, and what it may see of it."""

import logging
import sys
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import context

from migrations import ddl
from migrations.patience import LOCK_TIMEOUT_MS
from migrations.waiting import END_LEFTOVERS, IN_LINE, MIGRATING, Waiting
from omniledger import database
from omniledger.errors import OmniledgerError
from omniledger.schema import metadata

_LOCK = 0x6F6D6E696C656467
"""The advisory lock of an upgrade: the letters "omniledg"."""


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Autogenerate and `alembic check` look at what the migrations own, and nothing else."""
    if kind == "schema":
        return name == "ledger"
    return kind != "table" or name in {table.name for table in metadata.tables.values()}


def configure(**how: Any) -> None:
    context.configure(
        target_metadata=metadata,
        version_table_schema="ledger",
        transaction_per_migration=True,
        include_schemas=True,
        include_name=include_name,
        # Comments and defaults are the migrations' own words; only the shape is compared.
        compare_server_default=False,
        autogenerate_plugins=["alembic.autogenerate.*", "~alembic.autogenerate.comments"],
        **how,
    )


def run_offline() -> None:
    configure(url="postgresql+psycopg://", literal_binds=True, dialect_opts={"paramstyle": "named"})
    context.execute(f"set lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
    context.execute("create schema if not exists ledger")
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    dsn = ddl.dsn()
    database.connect(dsn).close()
    waiting = Waiting(dsn)
    try:
        if writes():
            with engine(dsn, IN_LINE).connect() as guard:
                take_turn(guard)
                end_leftovers(guard)
                make_schema(guard)
                with waiting.watched():
                    migrate(dsn, MIGRATING)
        else:
            migrate(dsn, "omniledger")
    except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
        explained = waiting.given_up() or database.explained(first_cause(error), dsn)
        raise explained or error from error


def first_cause(error: BaseException) -> BaseException:
    """What the database said first: ending a transaction on a lost connection fails once more."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error):
            error = cause
        cause = cause.__cause__ or cause.__context__
    return error


def engine(dsn: database.Dsn, name: str) -> sa.Engine:
    return sa.create_engine(
        dsn.sqlalchemy_url(), poolclass=sa.NullPool, connect_args={"application_name": name}
    )


def migrate(dsn: database.Dsn, name: str) -> None:
    with engine(dsn, name).connect() as connection:
        configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


def writes() -> bool:
    """Whether this command moves the database to another revision."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def take_turn(guard: sa.Connection) -> None:
    """Wait until no other upgrade runs.

    It asks again and again rather than wait inside one statement: that statement's snapshot
    would hold up the other upgrade's concurrent index builds for ever.
    """
    told = False
    while not guard.execute(sa.text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar():
        guard.rollback()
        if not told:
            context.config.print_stdout("Another upgrade is at work; waiting for it to end.")
            told = True
        time.sleep(0.5)
    guard.rollback()


def end_leftovers(guard: sa.Connection) -> None:
    """End the sessions that a killed upgrade left at work: it is our turn, so they are nobody's.

    A server notices that its client is dead only when it answers, so a statement goes on to its
    end, and a concurrent index build and ours would wait for each other.
    """
    while guard.execute(sa.text(END_LEFTOVERS), {"name": MIGRATING}).first() is not None:
        guard.rollback()
        time.sleep(0.1)
    guard.rollback()


def make_schema(guard: sa.Connection) -> None:
    if guard.execute(sa.text("select to_regnamespace('ledger')")).scalar() is None:
        guard.execute(sa.text("create schema ledger"))
    guard.commit()


def tell() -> None:
    """Let a person at the prompt see each revision and the merge; our own commands tell it."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    for name in ("alembic.runtime.migration", "omniledger.merge", "omniledger.waiting"):
        logging.getLogger(name).setLevel(logging.INFO)


def main() -> None:
    if "dsn" not in context.config.attributes:
        tell()
    try:
        if context.is_offline_mode():
            run_offline()
        else:
            run_online()
    except OmniledgerError as error:
        # Called from `omniledger`, which reports errors itself; else Alembic is at the prompt.
        if "dsn" in context.config.attributes:
            raise
        sys.stderr.write(f"omniledger: {error}\n")
        raise SystemExit(error.exit_code) from None


main()
