"""How the inspection reads: never long, unless exact counts are asked for, and never a lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from migrations.merge.record import last_done
from migrations.waiting import SESSION
from omniledger import revisions
from omniledger.counting import Count, counted, estimated
from omniledger.database import Connection
from omniledger.inspection.clock import now
from omniledger.settings import Settings

STATEMENT_TIMEOUT_MS = 10_000
"""How long one statement may take on a busy database."""

EXACT_TIMEOUT_MS = 3_600_000
"""How long it may take where everything is counted."""

LOCK_TIMEOUT_MS = 1_000
"""How long it may wait for a table that somebody has locked against readers."""

UPGRADE = "Run `alembic upgrade head`."

MERGE = "Run `omniledger merge run`."

LEDGER = ("omni2", "audit_logs")

HEALTH = ("omni2", "mcp_health_log")

COUNTED_UP_TO = 100_000
"""Tables that are no larger are counted."""

DEAREST_PLAN = 300_000
"""The planner's cost up to which a question is asked; one of a page is 1, so about a second."""

_KIND = """
    select c.relkind::text
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname = %s and c.relname = %s
"""

_COLUMNS = """
    select a.attname::text, format_type(a.atttypid, a.atttypmod)
    from pg_attribute as a
    inner join pg_class as c on a.attrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""


_LOCKED = f"""
    select
        string_agg(
            l.relation::regclass || ' by '
            || coalesce({SESSION.format("a")}, 'a prepared transaction'), ', '
        )
    from pg_locks as l
    inner join pg_class as c on l.relation = c.oid and c.relkind in ('r', 'p', 'v', 'm')
    left join pg_stat_activity as a on l.pid = a.pid
    where
        l.mode = 'AccessExclusiveLock'
        and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
"""  # noqa: S608 (no value of anybody's in it)


class TooDear(Exception):
    """The planner says that the answer would take long."""


@dataclass
class Look:
    """One inspection.

    Attributes:
        connection: in autocommit; `reading` makes it read-only, with a statement timeout.
        is_exact: whether to count, however long that takes.
        watch_seconds: for how long at least to watch who writes.
        inserted_before: the server's insert counters of each log when the inspection began.
        began: when that was, s of the monotonic clock.
    """

    connection: Connection
    settings: Settings
    is_exact: bool = False
    watch_seconds: float = 0
    inserted_before: dict[tuple[str, str], int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One transaction that writes nothing and never waits long.

        Nothing is set for the session, as SET TRANSACTION would: behind a pooler somebody else has
        it next.
        """
        self.connection.execute("begin read only")
        try:
            timeout = EXACT_TIMEOUT_MS if self.is_exact else STATEMENT_TIMEOUT_MS
            self.connection.execute(f"set local statement_timeout = {timeout}".encode())
            self.connection.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS}".encode())
            yield
        finally:
            if not self.connection.closed:
                self.connection.rollback()

    @cached_property
    def now(self) -> datetime:
        """The moment that everything is judged at."""
        return now(self.connection)

    @cached_property
    def revision(self) -> str | None:
        """The revision that the database is at, or None before the first upgrade.

        Raises:
            InsufficientPrivilege: we may not see it, so that nothing that follows from it can be
                told.
        """
        return revisions.current(self.connection)

    @cached_property
    def is_revision_lost(self) -> bool:
        """Whether the upgrade was made, and nothing says how far."""
        return revisions.is_lost(self.connection, self.revision)

    @property
    def has_ledger(self) -> bool:
        """Whether the upgrade's tables are there; before it, the names may be a stranger's."""
        return self.revision is not None or self.is_revision_lost

    def locked(self) -> str:
        """Which tables are locked against readers, and by whom."""
        row = self.connection.execute(_LOCKED.encode()).fetchone()
        return str(row[0]) if row and row[0] else "a table that it reads"

    @property
    def old_name(self) -> tuple[str, str]:
        """Schema and name of the log that is written without a schema."""
        return self.settings.legacy_schema, "audit_logs"

    @property
    def has_old_table(self) -> bool:
        """Whether the old name is a table still, so that there are two logs."""
        return self.kind(self.old_name) == "r"

    @property
    def way_on(self) -> str:
        """What is to do where two logs are left: the upgrade, or the merge that was put off."""
        if self.is_revision_lost:
            return revisions.SAY_AGAIN
        if self.revision is None or self.revision < revisions.MERGED_AT:
            return UPGRADE
        done = last_done(self.connection)
        merged = done.legacy.schema if done else self.settings.legacy_schema
        if merged != self.settings.legacy_schema:
            return f"Set OMNILEDGER_LEGACY_SCHEMA to {merged}, whose audit_logs was merged."
        return MERGE

    def kind(self, name: tuple[str, str]) -> str | None:
        """The kind of a relation as the catalog has it, or None; it takes no rights to ask."""
        row = self.connection.execute(_KIND, name).fetchone()
        return None if row is None else str(row[0])

    def columns(self, name: tuple[str, str]) -> dict[str, str]:
        """Type of each column; it takes no rights to ask."""
        return dict(self.connection.execute(_COLUMNS, name).fetchall())

    def row_if_there(self, query: str) -> tuple[Any, ...] | None:
        """The first row that a query of our own tables finds; None where they are not there yet."""
        if not self.has_ledger:
            return None
        try:
            with self.connection.transaction():
                return self.connection.execute(query.encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            return None

    def count(self, name: tuple[str, str]) -> Count:
        """How many rows, counted where they are few or exact counts are asked for."""
        rows = sql.SQL("from {}").format(sql.Identifier(*name))
        found = estimated(self.connection, rows)
        if self.is_exact or found.rows <= COUNTED_UP_TO:
            return counted(self.connection, rows)
        return found

    def rows(self, query: sql.SQL | sql.Composed | str, **values: object) -> list[tuple[Any, ...]]:
        """The rows of a query, if it is cheap.

        Raises:
            TooDear: it isn't, and no exact answer is asked for.
        """
        text = sql.SQL(query) if isinstance(query, str) else query
        # Bound by the client, for EXPLAIN has to see what the planner will see.
        with psycopg.ClientCursor(self.connection) as cursor:
            if not self.is_exact:
                plan = cursor.execute(sql.SQL("explain (format json) ") + text, values).fetchone()
                if plan is not None and plan[0][0]["Plan"]["Total Cost"] > DEAREST_PLAN:
                    raise TooDear
            cursor.execute(text, values)
            return list(cursor)
