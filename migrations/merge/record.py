"""The record of merges in `ledger.merge_runs`: what was found, and how far the last one came."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql

from migrations.gateway import LEDGER
from migrations.legacy import ARCHIVE, Carried, Legacy
from migrations.memory import note, noted
from omniledger.catalog import columns_of, is_there, kind_of
from omniledger.database import Connection, as_json

_LAST_RUN = """
    select id, legacy_table, shape, cutover_xid, finished_at, holds
    from ledger.merge_runs
    order by id desc
    limit 1
"""

_NOTHING_LEFT = "select not exists (select from omni2.audit_logs where legacy_id is not null)"


_CUT_OVER = """
    update ledger.merge_runs
    set cutover_xid = least(
        pg_current_xact_id()::text::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    )
    where id = %s
    returning array(
        select running.xid::text::bigint
        from pg_snapshot_xip(pg_current_snapshot()) as running (xid)
        where running.xid < pg_current_xact_id()
        order by running.xid
    )
"""

_BEGUN = "merge_begun"
"""JSON: number of a merge → the number of its first transaction."""

_UNDER_WAY = "under_way"
"""JSON: number of a merge → transactions that began before its cut over, and ended after it."""

WRITTEN_SINCE = sql.SQL("""(
    a.source_system = 'chat'
    or a.change_xid < %(begun)s
    or a.change_xid >= %(cutover)s
    or a.change_xid = any(%(under_way)s::bigint [])
)""")
"""Whether the ledger's row `a` was written after the cut over; its parameters has `Done.values`.

A cluster into which a dump was restored counts transactions from the beginning. So what the old
name alone can have written was, whatever its number, and what has a number from before the merge.
"""


class MergeRun(NamedTuple):
    """A row of `ledger.merge_runs`."""

    id: int
    legacy_table: str
    shape: dict[str, Any]
    cutover_xid: int | None
    finished_at: datetime | None
    holds: bool | None

    @property
    def is_unfinished(self) -> bool:
        """Whether it was begun, and neither cut over nor ended."""
        return self.finished_at is None and self.cutover_xid is None

    @property
    def legacy(self) -> Legacy:
        """The legacy table as it was when its merge began."""
        shape = self.shape
        columns = tuple(Carried(**column) for column in shape["columns"])
        sequence = shape["sequence"] and tuple(shape["sequence"])
        return Legacy(**{**shape, "columns": columns, "sequence": sequence})


def last_run(connection: Connection) -> MergeRun | None:
    """The merge that was begun last, whatever became of it."""
    row = connection.execute(_LAST_RUN).fetchone()
    return None if row is None else MergeRun(*row)


def note_cut_over(connection: Connection, run_id: int) -> None:
    """Note which transactions write after the cut over: ours and later ones, and some others.

    One that has a number before ours, from another table, can write through the old name yet. A
    snapshot lists those that others with higher numbers have overtaken; the rest of them are above
    its end.

    Args:
        connection: in the transaction of the cut over, under its locks.
    """
    (under_way,) = connection.execute(_CUT_OVER, (run_id,)).fetchone() or ([],)
    note(connection, _UNDER_WAY, str(run_id), under_way)


def begin_run(connection: Connection, legacy: Legacy) -> int:
    """The number of the merge that goes on, or of one that begins now."""
    run = last_run(connection)
    if run is not None and run.is_unfinished:
        return run.id
    with connection.transaction():
        number, begun = connection.execute(
            "insert into ledger.merge_runs (legacy_table, shape) values (%s, %s)"
            " returning id, pg_current_xact_id()::text::bigint",
            (f"{legacy.schema}.audit_logs", as_json(asdict(legacy))),
        ).fetchone() or (0, 0)
        note(connection, _BEGUN, str(number), begun)
    return int(number)


@dataclass(frozen=True)
class Done:
    """The last merge: the table as it was, and which transactions wrote after the cut over.

    Attributes:
        begun_xid: the number below which all did, in another cluster; 0 where it is not known.
        cutover_xid: the number from which on all did.
        under_way: those with numbers between that did, too.
    """

    legacy: Legacy
    begun_xid: int
    cutover_xid: int
    under_way: tuple[int, ...]

    def values(self) -> dict[str, object]:
        """The parameters of `WRITTEN_SINCE`."""
        return {
            "begun": self.begun_xid,
            "cutover": self.cutover_xid,
            "under_way": [*self.under_way],
        }


def last_done(connection: Connection) -> Done | None:
    """The merge that an upgrade left, or None where there is none to take back or to prove."""
    run = last_run(connection)
    if run is None or run.cutover_xid is None:
        return None
    return None if _is_taken_back(connection, run.legacy) else as_done(connection, run)


def as_done(connection: Connection, run: MergeRun) -> Done:
    """What is known of a merge that was cut over."""
    number = str(run.id)
    begun = noted(connection, _BEGUN).get(number, 0)
    under_way = noted(connection, _UNDER_WAY).get(number, ())
    return Done(run.legacy, begun, run.cutover_xid or 0, tuple(under_way))


def _is_taken_back(connection: Connection, legacy: Legacy) -> bool:
    """Whether the old table is back, and nothing of it in the ledger any more."""
    if kind_of(connection, legacy.relation) != "r" or is_there(connection, f"ledger.{ARCHIVE}"):
        return False
    columns = columns_of(connection, LEDGER)
    if "legacy_id" not in columns:
        return bool(columns)
    return connection.execute(_NOTHING_LEFT).fetchone() == (True,)


def unfinished(connection: Connection) -> Legacy | None:
    """The table, as it was found, of a merge that was begun and not cut over."""
    run = last_run(connection)
    return run.legacy if run is not None and run.is_unfinished else None
