"""The record of merges in `ledger.merge_runs`: what was found, and how far the last one came."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from migrations.gateway import LEDGER
from migrations.legacy import ARCHIVE, Carried, Legacy
from omniledger.catalog import columns_of, is_there, kind_of
from omniledger.database import Connection, as_json

_LAST_RUN = """
    select id, legacy_table, shape, cutover_xid, finished_at, holds
    from ledger.merge_runs
    order by id desc
    limit 1
"""

_NOTHING_LEFT = "select not exists (select from omni2.audit_logs where legacy_id is not null)"


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


def begin_run(connection: Connection, legacy: Legacy) -> int:
    """The number of the merge that goes on, or of one that begins now."""
    run = last_run(connection)
    if run is not None and run.is_unfinished:
        return run.id
    made = connection.execute(
        "insert into ledger.merge_runs (legacy_table, shape) values (%s, %s) returning id",
        (f"{legacy.schema}.audit_logs", as_json(asdict(legacy))),
    ).fetchone()
    return int(made[0]) if made else 0


@dataclass(frozen=True)
class Done:
    """The last merge: the table as it was, and the transaction of the cut over."""

    legacy: Legacy
    cutover_xid: int


def last_done(connection: Connection) -> Done | None:
    """The merge that an upgrade left, or None where there is none to take back or to prove."""
    run = last_run(connection)
    if run is None or run.cutover_xid is None:
        return None
    done = Done(run.legacy, run.cutover_xid)
    return None if _is_taken_back(connection, done.legacy) else done


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
