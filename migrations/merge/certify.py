"""The proof that no old row was lost: one pass over the frozen archive, batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from migrations.legacy import SUMMED
from migrations.merge.batches import Progress, Range, count, in_batches
from migrations.merge.comparison import NAMED, SPELLING, Found, comparison
from migrations.merge.record import WRITTEN_SINCE, Done
from migrations.merge.statements import LEDGER, Statements
from omniledger.certificate import sentence
from omniledger.database import Connection, as_json

_UNMAPPED = """
    select count(distinct {person})
    from {legacy} as l
    where
        {person} is not null
        and not exists (
            select from ledger.user_map as m where m.legacy_user_id = {person}
        )
"""

# What was written since the cut over is in no archive.
_STRAYS = """
    select array(
        select a.legacy_id
        from {ledger} as a
        where
            a.legacy_id is not null
            and not {since}
            and not exists (select from {legacy} as l where l.id = a.legacy_id)
        order by a.legacy_id
        limit {named}
    )
"""


@dataclass(frozen=True)
class Certificate:
    """What became of every row of the legacy table.

    Attributes:
        mended: rows that were in quarantine and are in the ledger now, as the operator mended them.
        deleted: rows that were deleted since the cut over.
        changed: copied rows that were written again since; they are their writer's business.
        strays: the first ids of merged rows that the archive has not; a crash may have emptied it.
        sums: for each summed column, the total on the legacy side and on the ledger's, exact.
        detail: what does not hold, with ids; empty where all holds.
    """

    total: int
    copied: int
    matched: int
    quarantined: int
    mended: int
    deleted: int
    changed: int
    unmapped: int
    strays: tuple[int, ...]
    sums: dict[str, dict[str, str]]
    checksum: str
    detail: str

    @property
    def holds(self) -> bool:
        """Whether every row is accounted for and every sum agrees."""
        return not self.detail

    def sentence(self) -> str:
        """What a person reads of it."""
        return sentence(
            total=self.total,
            copied=self.copied,
            matched=self.matched,
            quarantined=self.quarantined,
            mended=self.mended,
            deleted=self.deleted,
            holds=self.holds,
            detail=self.detail,
        )


def certify(
    connection: Connection,
    statements: Statements,
    done: Done,
    show: Callable[[Progress], None] = lambda progress: None,
    workers: Sequence[Connection] = (),
) -> Certificate:
    """Compare the archive with the ledger, each old row with what became of it in one snapshot.

    Args:
        connection: where the ranges are read, and all the rest where there are no workers.
        statements: those of the archive.
        done: the merge; what was written since its cut over is its writers' business.
        show: called with the progress after each batch.
        workers: further connections that do the work.
    """
    values = {target: statements.value(target) for target in SUMMED}
    summed = {target: value for target, value in values.items() if value is not None}
    query = comparison(statements, summed)
    found, total = Found(len(summed)), count(connection, statements.table)
    show(Progress("certifying", 0, total))

    def compare(worker: Connection, chunk: Range) -> tuple[Any, ...] | None:
        with worker.transaction():
            for setting in SPELLING:
                worker.execute(setting)
            return worker.execute(query, {**chunk.values(), **done.values()}).fetchone()

    for _, row in in_batches(connection, workers or [connection], statements.table, compare):
        found.add(row or ())
        show(Progress("certifying", found.total, max(total, found.total)))
    unmapped = connection.execute(
        sql.SQL(_UNMAPPED).format(legacy=statements.table, person=statements.person)
    ).fetchone()
    (strays,) = connection.execute(
        sql.SQL(_STRAYS).format(
            legacy=statements.table, ledger=LEDGER, named=NAMED, since=WRITTEN_SINCE
        ),
        done.values(),
    ).fetchone() or ([],)
    exact = {
        target: {"legacy": str(old), "ledger": str(new)}
        for target, (old, new) in zip(summed, found.sums, strict=True)
    }
    return Certificate(
        total=found.total,
        copied=found.copied,
        matched=found.matched,
        quarantined=found.quarantined,
        mended=found.mended,
        deleted=found.deleted,
        changed=found.changed,
        unmapped=unmapped[0] if unmapped else 0,
        strays=tuple(strays),
        sums=exact,
        checksum=hashlib.md5(str(found.fingerprints).encode(), usedforsecurity=False).hexdigest(),
        detail=_detail(found.lost, found.differing, strays, exact),
    )


def _detail(
    lost: list[int], differing: list[int], strays: list[int], sums: dict[str, dict[str, str]]
) -> str:
    faults = []
    if lost:
        faults.append(f"rows are missing, the first with the old ids {_ids(lost)}")
    if differing:
        faults.append(f"rows differ, the first with the old ids {_ids(differing)}")
    if strays:
        faults.append(f"rows are not in the old table, the first with the old ids {_ids(strays)}")
    faults += [
        f"the sum of {name} is {sides['legacy']} in the old table and {sides['ledger']} here"
        for name, sides in sums.items()
        if sides["legacy"] != sides["ledger"]
    ]
    return "; ".join(faults)


def _ids(ids: list[int]) -> str:
    return ", ".join(str(id_) for id_ in ids)


def store(connection: Connection, run_id: int, certificate: Certificate) -> None:
    """Keep the certificate in `ledger.merge_runs`."""
    connection.execute(
        "update ledger.merge_runs set finished_at = now(), rows_total = %s, rows_copied = %s,"
        " rows_matched = %s, rows_quarantined = %s, users_unmapped = %s, sums = %s, checksum = %s,"
        " holds = %s, detail = nullif(%s, '') where id = %s",
        (
            certificate.total,
            certificate.copied,
            certificate.matched,
            certificate.quarantined,
            certificate.unmapped,
            as_json(certificate.sums),
            certificate.checksum,
            certificate.holds,
            certificate.detail,
            run_id,
        ),
    )
