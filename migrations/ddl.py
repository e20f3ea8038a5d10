"""Schema changes on tables that others are writing: short locks, patience, one statement each."""

from functools import partial
from typing import Any, cast

import sqlalchemy as sa
from alembic import context, op
from psycopg.sql import SQL, Identifier

from migrations.indexing import build_concurrently
from migrations.patience import LOCK_TIMEOUT_MS, patiently
from migrations.texts import sql as sql
from migrations.waiting import OWN_SESSION
from omniledger.database import Connection, Dsn, connect, target

_LARGEST_COST = """
    select case when atttypmod >= 4
        then 10::numeric ^ (((atttypmod - 4) >> 16) - ((atttypmod - 4) & 2047)) - 1
        else 10::numeric ^ 100 end::numeric(110, 0)::text
    from pg_attribute
    where attrelid = 'omni2.audit_logs'::regclass and attname = 'cost_usd'
"""

_PRINTED = """
do $omniledger$
begin
    execute replace($text${text}$text$, '{{largest_cost}}', ({largest}));
end
$omniledger$
"""


def dsn() -> Dsn:
    """The database that is migrated: the caller's, else the one of the settings."""
    given: Dsn | None = context.config.attributes.get("dsn")
    return given or target()


def driver() -> Connection:
    """The psycopg connection that the migration runs on."""
    return cast(Connection, op.get_bind().connection.driver_connection)


def own_connection() -> Connection:
    """A second connection to the same database, for work in transactions of its own.

    Its sessions go by the migration's name, so that a later upgrade can end those that are left.
    """
    return connect(dsn(), autocommit=True, **OWN_SESSION)


def scalar(statement: str, **values: Any) -> Any:
    """One value of the live database; None where only SQL is printed."""
    if context.is_offline_mode():
        return None
    return op.get_bind().execute(sa.text(statement), values).scalar()


def make_fill_in() -> None:
    """Make the fill-in trigger's function, with what it sets rows aside by.

    It has a bound that `cost_usd` has room below: a cost that the column's own type has no room for
    must not turn into a refused row.
    """
    for name in ("audit_complaint", "audit_as_json"):
        run(sql(name))
    text = sql("fill_in_audit_log")
    if context.is_offline_mode():
        run(_PRINTED.format(text=text, largest=_LARGEST_COST))
    else:
        run(text.replace("{largest_cost}", str(scalar(_LARGEST_COST))))


def exists(relation: str) -> bool:
    """Whether a table, view or index of this name is there."""
    return scalar("select to_regclass(:name)", name=relation) is not None


def run(text: str) -> None:
    """Run (or print) one SQL text as it stands, a colon in it included."""
    op.execute(text.strip().removesuffix(";").replace(":", r"\:"))


def run_live(relation: str, *statements: str) -> None:
    """Run each statement in a transaction of its own, waiting patiently for its lock.

    Each must be repeatable, for an upgrade that was killed runs it again.

    Args:
        relation: the table whose lock the statements need.
        statements: SQL that takes a lock for an instant.

    Raises:
        DatabaseError: others held the lock for all of the patience.
    """
    with op.get_context().autocommit_block():
        if context.is_offline_mode():
            run(f"set lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
            for statement in statements:
                run(statement)
            run("reset lock_timeout")
            return
        connection = driver()
        for statement in statements:
            patiently(connection, relation, partial(connection.execute, statement))


def build_index(name: str, relation: str, definition: str, *, unique: bool = False) -> None:
    """Build an index without blocking a writer; one that a killed upgrade left broken goes first.

    Args:
        name: of the index, without schema.
        relation: the table, with its schema.
        definition: what follows `on TABLE`, e.g. `using btree (user_id)`.
        unique: whether it refuses doubles.
    """
    schema = relation.split(".")[0]
    kind = "unique index" if unique else "index"
    create = f"create {kind} concurrently if not exists {name} on {relation} {definition}"
    with op.get_context().autocommit_block():
        if context.is_offline_mode():
            run(create)
        else:
            build_concurrently(driver(), Identifier(schema, name), SQL(create))


def drop_index(name: str, schema: str) -> None:
    """Drop an index without blocking a writer."""
    with op.get_context().autocommit_block():
        run(f"drop index concurrently if exists {schema}.{name}")
