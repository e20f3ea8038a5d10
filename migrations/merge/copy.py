"""Match, set aside and copy the old rows, batch by batch, and again those written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from psycopg import sql

from migrations.merge.pacing import Pace
from migrations.merge.statements import Statements
from omniledger.database import Connection

TARGET_SECONDS = 0.5
"""How long one batch should take: short enough to be killed and repeated at no loss."""

_FIRST_BATCH = 5_000
_LARGEST_BATCH = 100_000

_EVERYTHING = sql.SQL("true")
_RANGE = sql.SQL("l.id > %(after)s and l.id <= %(upto)s")
_CHANGED = sql.SQL("l.id = any(%(ids)s)")


@dataclass(frozen=True)
class Progress:
    """How far the copy is: old rows passed and old rows in all."""

    done: int
    total: int


def match_history(connection: Connection, statements: Statements, window: Decimal) -> int:
    """Find the requests that both systems logged, over the whole history.

    Returns:
        How many old rows had more than one gateway row to choose from.
    """
    with connection.transaction():
        found = connection.execute(statements.match(_EVERYTHING), {"window": window}).fetchone()
    return int(found[1]) if found else 0


def copy_history(connection: Connection, statements: Statements, pace: Pace) -> Iterator[Progress]:
    """Bring over every old row, oldest id first, each batch in a transaction of its own.

    What is in the ledger or in quarantine already is passed over, so a copy that was killed goes
    on where it was.
    """
    table = statements.table
    total = _count(connection, sql.SQL("select count(*) from {}").format(table))
    next_end = sql.SQL(
        "select max(id), count(*) from ("
        "select id from {} where id > %(after)s order by id limit %(size)s) as batch"
    ).format(table)
    after, size, done = -(2**63), _FIRST_BATCH, 0
    while True:
        began = time.monotonic()
        row = connection.execute(next_end, {"after": after, "size": size}).fetchone()
        if row is None or row[0] is None:
            return
        _bring_over(connection, statements, _RANGE, {"after": after, "upto": row[0]})
        after, done = row[0], done + row[1]
        took = max(time.monotonic() - began, 0.001)
        yield Progress(done, max(total, done))
        pace.rest(connection, took)
        size = max(100, min(_LARGEST_BATCH, int(size * min(2.0, TARGET_SECONDS / took))))


def _bring_over(
    connection: Connection, statements: Statements, scope: sql.Composable, values: dict[str, object]
) -> None:
    with connection.transaction():
        for statement in (statements.quarantine, statements.apply_matches, statements.copy):
            connection.execute(statement(scope), values)


def apply_changes(connection: Connection, statements: Statements, window: Decimal) -> int:
    """Bring over again the old rows that were written since they were copied.

    What the ledger has of them is taken back first, so that a row that was deleted is gone and
    one that was changed is judged and matched anew. The caller's transaction, if any, goes on.

    Returns:
        How many changed ids there were.
    """
    with connection.transaction():
        changes = connection.execute(
            "delete from ledger.audit_merge_changes returning legacy_id"
        ).fetchall()
        ids = sorted({row[0] for row in changes})
        if not ids:
            return 0
        values: dict[str, object] = {"ids": ids, "window": window}
        forget(connection, statements, sql.SQL("k.legacy_id = any(%(ids)s)"), values)
        connection.execute("delete from omni2.audit_logs where legacy_id = any(%(ids)s)", values)
        connection.execute(
            "delete from ledger.audit_quarantine where legacy_id = any(%(ids)s)", values
        )
        connection.execute(statements.match(_CHANGED), values)
        _bring_over(connection, statements, _CHANGED, values)
    return len(ids)


def forget(
    connection: Connection,
    statements: Statements,
    scope: sql.Composable,
    values: dict[str, object],
) -> None:
    """Undo the matches `k` in scope: the gateway's rows are again as the gateway wrote them."""
    connection.execute(statements.unmatch(scope), values)
    connection.execute(
        sql.SQL("delete from ledger.audit_matches as k where {}").format(scope), values
    )


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
