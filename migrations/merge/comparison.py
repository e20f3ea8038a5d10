"""How an old row is compared with what became of it, and what the batches found, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Any

from psycopg import sql

from migrations.merge.record import WRITTEN_SINCE
from migrations.merge.statements import KNOWN, LEDGER, RANGE, Statements

# Rows are compared as they are stored, and as text, which is dear, only where that differs. A
# gateway row that matched keeps its own values, so it is held to what it gained. Rows written again
# since the cut over are their writer's business, not the merge's.
_COMPARE = """
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
"""The first columns of `_COMPARE`."""

NAMED = 5
"""How many ids of a fault are named."""

_WHOLE = ("smallint", "integer", "bigint")

_EXACT = Context(prec=1000)
"""Sums of any amounts that a column holds, without a rounding."""

# The checksum is of the rows as text, which must not depend on who asks.
SPELLING = (
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local intervalstyle = 'postgres'",
    "set local bytea_output = 'hex'",
    "set local extra_float_digits = 1",
)


@dataclass
class Found:
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
        """Add the row of one batch, as `_COMPARE` gives it."""
        counts, (lost, differing, fingerprints, *pairs) = row[: len(_COUNTS)], row[len(_COUNTS) :]
        for name, number in zip(_COUNTS, counts, strict=True):
            setattr(self, name, getattr(self, name) + number)
        self.lost = sorted(self.lost + (lost or []))[:NAMED]
        self.differing = sorted(self.differing + (differing or []))[:NAMED]
        with localcontext(_EXACT):
            self.fingerprints += fingerprints or 0
            self.sums = [
                (old + (pairs[2 * i] or 0), new + (pairs[2 * i + 1] or 0))
                for i, (old, new) in enumerate(self.sums)
            ]


def comparison(statements: Statements, summed: dict[str, sql.Composable]) -> sql.Composed:
    """The query that compares one range of old rows, and answers with a row for `Found.add`.

    Args:
        summed: what is added up on both sides: the ledger's columns, with the old row's value.
    """
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
    return sql.SQL(_COMPARE).format(
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
