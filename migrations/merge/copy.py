"""Copy the old rows, batch by batch, and bring over again those that were written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal

from psycopg import errors, sql

from migrations.merge import referring
from migrations.merge.batches import Progress, Range, count, in_batches
from migrations.merge.pacing import Pace
from migrations.merge.statements import KNOWN, RANGE, Statements
from omniledger.database import Connection

_CHANGED = sql.SQL("l.id = any(%(ids)s)")
KNOWN_IDS = sql.SQL("legacy_id = any(%(ids)s)")

_CHANGES_AT_ONCE = 5_000
"""How many notes of changed rows one transaction applies; some seconds of a busy gateway."""

_TAKE_CHANGES = """
with written as (
    delete from ledger.audit_merge_changes
    where change_id in (
        select change_id from ledger.audit_merge_changes order by change_id limit %(at_most)s
    )
    returning legacy_id
),

deleted as (
    delete from ledger.audit_tombstones
    where legacy_id in (
        select legacy_id from ledger.audit_tombstones order by legacy_id limit %(at_most)s
    )
    returning legacy_id
)

select legacy_id from written
union all
select legacy_id from deleted
"""

_LEFT = """
    select
        (select count(*) from (select from ledger.audit_merge_changes limit %(at_most)s) as w)
        + (select count(*) from (select from ledger.audit_tombstones limit %(at_most)s) as d)
"""

_TRIES = 3


def copy_history(
    connection: Connection,
    workers: Sequence[Connection],
    statements: Statements,
    pace: Pace,
) -> Iterator[Progress]:
    """Copy every old row that was neither matched nor set aside, a batch in one transaction.

    What is in the ledger already is passed over, so a copy that was killed goes on where it was.
    """
    table = statements.table
    done, total = 0, count(connection, table)
    yield Progress("copying", 0, total)

    def bring(worker: Connection, chunk: Range) -> None:
        began = time.monotonic()
        _repeating(worker, statements, chunk)
        pace.rest(worker, time.monotonic() - began)

    for chunk, _ in in_batches(connection, workers, table, bring):
        done += chunk.rows
        yield Progress("copying", done, max(total, done))


def _repeating(worker: Connection, statements: Statements, chunk: Range) -> None:
    """Copy one range, again where a killed upgrade's last batch was still committing it."""
    for tried in range(1, _TRIES + 1):
        try:
            with worker.transaction():
                return copy(worker, statements, RANGE, KNOWN, chunk.values())
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
        connection: inside a transaction.
        scope: a condition on the old rows `l`.
        known: the same on the column `legacy_id` of what is known of them already.
        values: the conditions' parameters.
    """
    connection.execute(statements.apply_matches(scope, known), values)
    copy(connection, statements, scope, known, values)


def copy(
    connection: Connection,
    statements: Statements,
    scope: sql.Composable,
    known: sql.Composable,
    values: dict[str, object],
) -> None:
    """Copy the old rows that the ledger can hold and has not; the arguments of `bring_over`."""
    (settled,) = connection.execute(statements.settled(known), values).fetchone() or ([],)
    connection.execute(statements.copy(scope), {**values, "settled": settled})


def apply_changes(
    connection: Connection,
    statements: Statements,
    window: Decimal,
    at_most: int | None = _CHANGES_AT_ONCE,
) -> int:
    """Bring over again the old rows that were written since, or whose rows in the ledger went.

    What the ledger has of them is taken back first, so that a row that was deleted is gone and
    one that was changed is judged and matched anew. Only a copy that another table references by
    the ledger's own id is changed where it stands, or the reference would go with it. The caller's
    transaction, if any, goes on.

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
        bound = referring.bound_copies(connection, ids)
        # Those first, for a value may have gone on from one of them.
        _take_back(connection, statements, [id_ for id_ in ids if id_ not in bound])
        again = statements.copy_again(_CHANGED)
        kept = {id_ for (id_,) in connection.execute(again, {"ids": bound})} if bound else set()
        _take_back(connection, statements, [id_ for id_ in bound if id_ not in kept])
        values = {"ids": [id_ for id_ in ids if id_ not in kept], "window": window}
        connection.execute(statements.quarantine(_CHANGED), values)
        connection.execute(statements.match(_CHANGED), values)
        bring_over(connection, statements, _CHANGED, KNOWN_IDS, values)
    return len(ids)


def _take_back(connection: Connection, statements: Statements, ids: list[int]) -> None:
    """Take out of the ledger what it has of these old rows."""
    if not ids:
        return
    values: dict[str, object] = {"ids": ids}
    forget(connection, statements, sql.SQL("k.legacy_id = any(%(ids)s)"), values)
    # The tombstones that the first of them leaves go with the second.
    for table in ("omni2.audit_logs", "ledger.audit_tombstones", "ledger.audit_quarantine"):
        connection.execute(
            sql.SQL("delete from {} where legacy_id = any(%(ids)s)").format(sql.SQL(table)), values
        )


def changes_left(connection: Connection, at_most: int | None = None) -> int:
    """How many notes of a change there are to apply.

    Args:
        at_most: where counting may end; of each kind are counted as many.
    """
    row = connection.execute(_LEFT, {"at_most": at_most}).fetchone()
    return int(row[0]) if row else 0


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
