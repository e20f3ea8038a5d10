"""How Alembic reaches the database, and what it may see of it."""

from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command, context

from migrations import ddl, definitions, going_back, turns
from migrations.legacy import require_schema
from migrations.merge import undo
from migrations.options import require_known
from migrations.patience import LOCK_TIMEOUT_MS
from migrations.rights import require_room
from migrations.taken import require_none_taken
from migrations.waiting import MIGRATING, Waiting
from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from omniledger.errors import OmniledgerError
from omniledger.explaining import explained
from omniledger.schema import COMPARING, engine_over, include_name, metadata
from omniledger.screen import refuse, show_logs
from omniledger.settings import get_settings


def configure(**how: Any) -> None:
    context.configure(
        target_metadata=metadata,
        version_table_schema="ledger",
        transaction_per_migration=True,
        include_name=include_name,
        **COMPARING,
        **how,
    )


def run_offline() -> None:
    configure(url="postgresql+psycopg://", literal_binds=True, dialect_opts={"paramstyle": "named"})
    # As `connect` has it, for whoever runs what is printed.
    context.execute("set search_path = pg_catalog, pg_temp")
    context.execute(f"set lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
    context.execute("create schema if not exists ledger")
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    dsn = ddl.dsn()
    connect(dsn).close()
    waiting = Waiting(dsn)
    try:
        if writes():
            # From the first commit on, which may have to wait for a standby.
            with turns.taken(dsn, context.config.print_stdout) as guard, waiting.watched():
                require_schema(guard, get_settings().legacy_schema)
                if not stamps():
                    require_none_taken(guard)
                require_room(guard, get_settings().legacy_schema)
                make_schema(guard)
                with going_back.no_check_left(guard):
                    migrate(dsn, MIGRATING, guard)
                definitions.record(guard, anew=False)
        else:
            if asked() is command.check:
                require_as_made(dsn)
            migrate(dsn, "omniledger")
    except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
        raise waiting.given_up() or explained(first_cause(error), dsn) or error from error


def first_cause(error: BaseException) -> BaseException:
    """What the database said first: ending a transaction on a lost connection fails once more."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error):
            error = cause
        cause = cause.__cause__ or cause.__context__
    return error


def migrate(dsn: Dsn, name: str, guard: Connection | None = None) -> None:
    with engine_over(partial(connect, dsn, application_name=name)).connect() as connection:
        configure(connection=connection)
        if guard is not None:
            require_way_back(guard)
        with context.begin_transaction():
            context.run_migrations()


def require_way_back(guard: Connection) -> None:
    current = revisions.current(guard)
    if goes_back(undo.MERGED_BY, current):
        undo.require_carried(guard)
    if goes_back(going_back.REQUIRED_BELOW, current):
        going_back.require_given(guard, merged=True)


def goes_back(revision: str, current: str | None) -> bool:
    """Whether this command will undo a revision."""
    steps = context.get_context().opts["fn"]((current,) if current else (), context.get_context())
    undone = (step.info for step in steps if not (step.is_upgrade or step.info.is_stamp))
    return any(info.up_revision_id == revision for info in undone)


def writes() -> bool:
    """Whether this command moves the database to another revision."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def stamps() -> bool:
    """Whether a person at the prompt only says at which revision the database is."""
    return asked() is command.stamp


def asked() -> object:
    """Alembic's command that a person at the prompt gave; None where nobody is at the prompt."""
    given, *_ = getattr(context.config.cmd_opts, "cmd", (None,))
    return given


def require_as_made(dsn: Dsn) -> None:
    """Say what `alembic check` finds as we say it, for Alembic has a list and an exit code 255."""
    from omniledger.inspection.by_hand import ledger_tables

    with connect(dsn, autocommit=True) as connection:
        revisions.require_head(connection)
        found = [*ledger_tables(connection)]
    if found:
        raise OmniledgerError(
            f"The schema ledger is not as the upgrade makes it: {'; '.join(found)}. Take it back; "
            "`omniledger inspect` tells what else was changed by hand."
        )


def make_schema(guard: Connection) -> None:
    # IF NOT EXISTS asks for the right to create a schema even where there is nothing to create.
    if guard.execute("select to_regnamespace('ledger')").fetchone() == (None,):
        guard.execute("create schema ledger")


def tell() -> None:
    """Let a person at the prompt see each revision and the merge; our own commands tell it."""
    show_logs("alembic.runtime.migration", "omniledger.merge", "omniledger.waiting")


def main() -> None:
    if "dsn" not in context.config.attributes:
        tell()
    try:
        require_known()
        if context.is_offline_mode():
            run_offline()
        else:
            run_online()
    except OmniledgerError as error:
        # Called from `omniledger`, which reports errors itself; else Alembic is at the prompt.
        if "dsn" in context.config.attributes:
            raise
        refuse(str(error), error.exit_code)
        raise SystemExit(error.exit_code) from None


main()
