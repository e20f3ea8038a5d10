"""The proof that no old row was lost: one pass over the frozen archive, batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Any

from psycopg import sql

from migrations.legacy import SUMMED
from migrations.merge.batches import Progress, Range, count, in_batches
from migrations.merge.record import WRITTEN_SINCE, Done
from migrations.merge.statements import KNOWN, LEDGER, RANGE, Statements
from omniledger.certificate import sentence
from omniledger.database import Connection, as_json

# Rows are compared as they are stored, and as text, which is dear, only where that differs. A
# gateway row that matched keeps its own values, so it is held to what it gained. Rows written again
# since the cut over are their writer's business, not the merge's.
_CERTIFY = """
with paired as (
    select
        l.id,
        case
            -- Somebody gave another row its id since; it is where it was.
            when a.source_system = 'chat' and q.legacy_id is not null then 'quarantined'
            when a.id is not null and {complaint} is not null then 'mended'
            when a.source_system = 'gateway' then 'matched'
            when a.id is not null then 'copied'
            when q.legacy_id is not null then 'quarantined'
            when t.legacy_id is not null then 'deleted'
            else 'lost'
        end as fate,
        coalesce({since}, false) as was_changed,
        case
            when record_image_eq(row({old}), row({new})) then true
            else row({old})::text = row({new})::text
        end as is_equal,
        hashtextextended((l.*)::text, 0) as fingerprint,
        coalesce(k.gained, '{{}}') as gained,
        {sides}
    from {legacy} as l
    left join (select * from {ledger} where {known}) as a on l.id = a.legacy_id
    left join (select * from ledger.audit_quarantine where {known}) as q on l.id = q.legacy_id
    left join (select * from ledger.audit_matches where {known}) as k on l.id = k.legacy_id
    left join (
        select distinct legacy_id from ledger.audit_tombstones where {known}
    ) as t on l.id = t.legacy_id
    where {scope}
)

select
    count(*) as total,
    count(*) filter (where fate = 'copied') as copied,
    count(*) filter (where fate = 'matched') as matched,
    count(*) filter (where fate = 'quarantined') as quarantined,
    count(*) filter (where fate = 'mended') as mended,
    count(*) filter (where fate = 'deleted') as deleted,
    count(*) filter (where fate = 'copied' and was_changed and not is_equal) as changed,
    (array_agg(id order by id) filter (where fate = 'lost'))[1:5] as lost,
    (
        array_agg(id order by id) filter (
            where fate = 'copied' and not was_changed and not is_equal
        )
    )[1:5] as differing,
    sum(fingerprint) as fingerprints,
    {sums}
from paired
"""

_COUNTS = ("total", "copied", "matched", "quarantined", "mended", "deleted", "changed")
"""The first columns of `_CERTIFY`."""

_NAMED = 5
"""How many ids of a fault are named."""

_WHOLE = ("smallint", "integer", "bigint")

_EXACT = Context(prec=1000)
"""Sums of any amounts that a column holds, without a rounding."""

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


# The checksum is of the rows as text, which must not depend on who asks.
_SPELLING = (
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local intervalstyle = 'postgres'",
    "set local bytea_output = 'hex'",
    "set local extra_float_digits = 1",
)


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
    query = _query(statements, summed)
    found, total = _Found(len(summed)), count(connection, statements.table)
    show(Progress("certifying", 0, total))

    def compare(worker: Connection, chunk: Range) -> tuple[Any, ...] | None:
        with worker.transaction():
            for setting in _SPELLING:
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
            legacy=statements.table, ledger=LEDGER, named=_NAMED, since=WRITTEN_SINCE
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


@dataclass
class _Found:
    """What the batches found, added up; sums are exact."""

    columns: InitVar[int]
    total: int = 0
    copied: int = 0
    matched: int = 0
    quarantined: int = 0
    mended: int = 0
    deleted: int = 0
    changed: int = 0
    lost: list[int] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    fingerprints: Decimal = Decimal(0)
    sums: list[tuple[Decimal, Decimal]] = field(default_factory=list)

    def __post_init__(self, columns: int) -> None:
        self.sums = [(Decimal(0), Decimal(0))] * columns

    def add(self, row: Sequence[Any]) -> None:
        """Add the row of one batch, as `_CERTIFY` gives it."""
        counts, (lost, differing, fingerprints, *pairs) = row[: len(_COUNTS)], row[len(_COUNTS) :]
        for name, number in zip(_COUNTS, counts, strict=True):
            setattr(self, name, getattr(self, name) + number)
        self.lost = sorted(self.lost + (lost or []))[:_NAMED]
        self.differing = sorted(self.differing + (differing or []))[:_NAMED]
        with localcontext(_EXACT):
            self.fingerprints += fingerprints or 0
            self.sums = [
                (old + (pairs[2 * i] or 0), new + (pairs[2 * i + 1] or 0))
                for i, (old, new) in enumerate(self.sums)
            ]


def _query(statements: Statements, summed: dict[str, sql.Composable]) -> sql.Composed:
    sides, sums = [], []
    for target, old in summed.items():
        column = statements.legacy.by_meaning[target]
        # A sum of bigint is as exact as one of numeric, and takes less than half of the time.
        is_whole = column.type in _WHOLE and column.derives != target
        type_ = sql.SQL("bigint" if is_whole else "numeric")
        names = {"side": sql.Identifier(f"{target}_ledger"), "old": sql.Identifier(target)}
        sides.append(
            sql.SQL("{} as {old}, a.{} as {side}").format(old, sql.Identifier(target), **names)
        )
        carried = sql.SQL("filter (where fate not in ('quarantined', 'mended', 'lost'))")
        sums.append(
            sql.SQL(
                "sum({old}::{type}) {carried}, sum(case"
                " when was_changed or fate = 'deleted'"
                " or fate = 'matched' and not {name} = any(gained) then {old}"
                " else {side} end::{type}) {carried}"
            ).format(name=sql.Literal(target), type=type_, carried=carried, **names)
        )
    types = {column.name: column.type for column in statements.legacy.columns}
    return sql.SQL(_CERTIFY).format(
        legacy=statements.table,
        ledger=LEDGER,
        complaint=statements.complaint,
        since=WRITTEN_SINCE,
        known=KNOWN,
        scope=RANGE,
        old=sql.SQL(", ").join(
            # A column of a domain is carried as the type below it.
            sql.SQL("l.{}::{}").format(sql.Identifier(name), sql.SQL(types[name]))
            for name, _ in statements.carried
        ),
        new=sql.SQL(", ").join(
            sql.SQL("a.{}::{}").format(sql.Identifier(target), sql.SQL(types[name]))
            for name, target in statements.carried
        ),
        sides=sql.SQL(", ").join(sides) if sides else sql.SQL("true as nothing_summed"),
        sums=sql.SQL(", ").join(sums) if sums else sql.SQL("true"),
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
