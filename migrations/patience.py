"""Waiting for a lock without making anybody wait behind us."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from psycopg import errors, sql

from migrations.waiting import MIGRATING, PREPARED, SESSION
from omniledger.database import Connection
from omniledger.errors import DatabaseError
from omniledger.settings import get_settings

LOCK_TIMEOUT_MS = 40
"""How long one try may stand in the queue for a lock; writers behind it wait no longer."""

# A commit that waited for the disk would keep its locks meanwhile. A crash of the server before the
# next commit, which does wait, takes the change back whole, and whatever was written after it.
_SHORT = f"set lock_timeout = '{LOCK_TIMEOUT_MS}ms'; set synchronous_commit = off"
# A reset would bring back what a role gives its sessions, which was overridden when this one began.
_AS_BEFORE = (
    "select set_config('lock_timeout', %s, false), set_config('synchronous_commit', %s, false)"
)
_BEFORE = "select current_setting('lock_timeout'), current_setting('synchronous_commit')"

_TELL_AFTER_SECONDS = 2
_TELL_EVERY_SECONDS = 30

_HOLDERS = f"""
    with held as (
        select pid, virtualtransaction
        from pg_locks
        where
            relation in (select to_regclass(named) from unnest(%s::text []) as named)
            and database = (select oid from pg_database where datname = current_database())
            and granted
    ),

    holders as (
        select {SESSION.format("a")} as told, a.xact_start as began
        from held
        inner join pg_stat_activity as a on held.pid = a.pid
        where a.application_name <> '{MIGRATING}'
        union
        select p.told, p.prepared
        from held
        inner join ({PREPARED}) as p on held.virtualtransaction = p.virtualtransaction
        where held.pid is null
    )

    select told from holders order by began nulls last limit 3
"""  # noqa: S608 (no value of anybody's in it)

_MAY_LOCK = "select has_table_privilege(to_regclass(%s), 'update, delete, truncate')"

_log = logging.getLogger("omniledger.waiting")

Result = TypeVar("Result")


def patiently(
    connection: Connection, relation: str, act: Callable[[], Result], others: Sequence[str] = ()
) -> Result:
    """Call `act` until it gets its locks, each try short, with longer and longer pauses between.

    Args:
        connection: where `act` runs, outside of any transaction.
        relation: the table that is locked, for the message.
        act: one whole transaction; it must be repeatable.
        others: further tables that it locks, whose holders are named too.

    Raises:
        DatabaseError: others held the lock all the time; the sentence says who.
    """
    before = connection.execute(_BEFORE).fetchone()
    connection.execute(_SHORT.encode())
    patience = get_settings().lock_patience_seconds
    began = time.monotonic()
    tell_at = began + _TELL_AFTER_SECONDS
    pause = 0.05
    try:
        while True:
            try:
                return act()
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                now = time.monotonic()
            if now - began > patience:
                by_whom = _by_whom(connection, [relation, *others])
                raise DatabaseError(
                    f"{relation} was locked{by_whom} for {patience:g} s; "
                    "end those transactions and run the command again, it goes on where it was."
                )
            if now >= tell_at:
                tell_at = now + _TELL_EVERY_SECONDS
                by_whom = _by_whom(connection, [relation, *others])
                _log.info("%s is locked%s; trying again, writers go on.", relation, by_whom)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (a jitter, no secret)
            pause = min(pause * 2, 5)
    finally:
        if not connection.closed:
            connection.execute(_AS_BEFORE, before)


def lock_together(connection: Connection, modes: Mapping[str, str]) -> None:
    """Take several locks in one try, which waits no longer in all than a try for one does.

    What we may not lock by name, though what comes later locks it, is left to that.

    Args:
        connection: inside the transaction of an act of `patiently`.
        modes: by the quoted name of each table how it is locked, in the order of locking.
    """
    give_up = time.monotonic() + LOCK_TIMEOUT_MS / 1000
    for relation, mode in modes.items():
        if connection.execute(_MAY_LOCK, (relation,)).fetchone() == (True,):
            left = max(1, round((give_up - time.monotonic()) * 1000))
            connection.execute(
                sql.SQL("set local lock_timeout = {}; lock table {} in {} mode").format(
                    left, sql.SQL(relation), sql.SQL(mode)
                )
            )
    connection.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT_MS))


def _by_whom(connection: Connection, relations: list[str]) -> str:
    holders = ", ".join(row[0] for row in connection.execute(_HOLDERS.encode(), (relations,)))
    return f" by {holders}" if holders else ""
