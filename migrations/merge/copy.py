"""Copy the old rows, batch by batch, and bring over again those that were written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal

from psycopg import errors, sql

from migrations.merge.batches import Progress, Range, count, in_batches
from migrations.merge.pacing import Pace
from migrations.merge.statements import RANGE, Statements
from omniledger.database import Connection

_KNOWN = sql.SQL("legacy_id > %(after)s and legacy_id <= %(upto)s")
_CHANGED = sql.SQL("l.id = any(%(ids)s)")
KNOWN_IDS = sql.SQL("legacy_id = any(%(ids)s)")

_CHANGES_AT_ONCE = 5_000
"""How many notes of changed rows one transaction applies; some seconds of a busy gateway."""

_TAKE_CHANGES = """
delete from ledger.audit_merge_changes
where change_id in (
    select change_id from ledger.audit_merge_changes order by change_id limit %(at_most)s
)
returning legacy_id
"""

_TRIES = 3


def copy_history(
    connection: Connection,
    workers: Sequence[Connection],
    statements: Statements,
    pace: Pace,
) -> Iterator[Progress]:
    """Bring over every old row that was not set aside, each batch in a transaction of its own.

    What is in the ledger already is passed over, so a copy that was killed goes on where it was.

    The batches don't wait for the disk: a crash of the server takes the last of them back, whole,
    and the next upgrade repeats them. The cut over's commit, which does wait, flushes all of them.
    """
    table = statements.table
    done, total = 0, count(connection, table)
    yield Progress("copying", 0, total)
    for worker in workers:
        worker.execute("set synchronous_commit = off")

    def bring(worker: Connection, chunk: Range) -> None:
        began = time.monotonic()
        _repeating(worker, statements, chunk)
        pace.rest(worker, time.monotonic() - began)

    for chunk, _ in in_batches(connection, workers, table, bring):
        done += chunk.rows
        yield Progress("copying", done, max(total, done))


def _repeating(worker: Connection, statements: Statements, chunk: Range) -> None:
    """Bring over one range, again where a killed upgrade's last batch was still committing it."""
    for tried in range(1, _TRIES + 1):
        try:
            return bring_over(worker, statements, RANGE, _KNOWN, chunk.values())
        except errors.UniqueViolation:
            if tried == _TRIES:
                raise


def bring_over(
    connection: Connection,
    statements: Statements,
    scope: sql.Composable,
    known: sql.Composable,
    values: dict[str, object],
) -> None:
    """Give matched rows what they lacked, and copy the rest that the ledger can hold.

    Args:
        scope: a condition on the old rows `l`.
        known: the same on the column `legacy_id` of what is known of them already.
        values: the conditions' parameters.
    """
    with connection.transaction():
        connection.execute(statements.apply_matches(scope, known), values)
        (settled,) = connection.execute(statements.settled(known), values).fetchone() or ([],)
        connection.execute(statements.copy(scope), {**values, "settled": settled})


def apply_changes(
    connection: Connection,
    statements: Statements,
    window: Decimal,
    at_most: int | None = _CHANGES_AT_ONCE,
) -> int:
    """Bring over again the old rows that were written since they were copied.

    What the ledger has of them is taken back first, so that a row that was deleted is gone and
    one that was changed is judged and matched anew. The caller's transaction, if any, goes on.

    Args:
        at_most: how many notes of a change to take; None for all.

    Returns:
        How many changed ids there were.
    """
    with connection.transaction():
        changes = connection.execute(_TAKE_CHANGES, {"at_most": at_most}).fetchall()
        ids = sorted({row[0] for row in changes})
        if not ids:
            return 0
        values: dict[str, object] = {"ids": ids, "window": window}
        forget(connection, statements, sql.SQL("k.legacy_id = any(%(ids)s)"), values)
        connection.execute("delete from omni2.audit_logs where legacy_id = any(%(ids)s)", values)
        connection.execute(
            "delete from ledger.audit_quarantine where legacy_id = any(%(ids)s)", values
        )
        connection.execute(statements.quarantine(_CHANGED), values)
        connection.execute(statements.match(_CHANGED), values)
        bring_over(connection, statements, _CHANGED, KNOWN_IDS, values)
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
