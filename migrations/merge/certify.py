"""The proof that no old row was lost: one pass over the frozen archive."""

from __future__ import annotations

import json
from dataclasses import dataclass

from psycopg import sql

from migrations.legacy import SUMMED
from migrations.merge.statements import LEDGER, Statements
from omniledger.database import Connection

# A gateway row that matched keeps its own values, so it is held to what it gained. Rows written
# again since the cut over are their writer's business, not the merge's.
_CERTIFY = """
with paired as (
    select
        l.id,
        case
            when a.source_system = 'gateway' then 'matched'
            when a.id is not null then 'copied'
            when q.legacy_id is not null then 'quarantined'
            when t.legacy_id is not null then 'deleted'
            else 'lost'
        end as fate,
        coalesce(a.change_xid >= %(cutover)s, false) as was_changed,
        hashtextextended(row({old})::text, 0) = hashtextextended(row({new})::text, 0) as is_equal,
        hashtextextended((l.*)::text, 0) as fingerprint,
        coalesce(k.gained, '{{}}') as gained,
        {sides}
    from {legacy} as l
    left join {ledger} as a on l.id = a.legacy_id
    left join ledger.audit_quarantine as q on l.id = q.legacy_id
    left join ledger.audit_matches as k on l.id = k.legacy_id
    left join (select distinct legacy_id from ledger.audit_tombstones) as t on l.id = t.legacy_id
)

select
    count(*) as total,
    count(*) filter (where fate = 'copied') as copied,
    count(*) filter (where fate = 'matched') as matched,
    count(*) filter (where fate = 'quarantined') as quarantined,
    count(*) filter (where fate = 'deleted') as deleted,
    (array_agg(id order by id) filter (where fate = 'lost'))[1:5] as lost,
    (
        array_agg(id order by id) filter (
            where fate = 'copied' and not was_changed and not is_equal
        )
    )[1:5] as differing,
    md5(coalesce(sum(fingerprint::numeric), 0)::text)
        as checksum,
    {sums}
from paired
"""

_UNMAPPED = """
    select count(distinct {person})
    from {legacy} as l
    where
        {person} is not null
        and not exists (
            select from ledger.user_map as m where m.legacy_user_id = {person}
        )
"""


@dataclass(frozen=True)
class Certificate:
    """What became of every row of the legacy table.

    Attributes:
        sums: for each summed column, the total on the legacy side and on the ledger's, exact.
        detail: what does not hold, with ids; empty where all holds.
    """

    total: int
    copied: int
    matched: int
    quarantined: int
    deleted: int
    unmapped: int
    sums: dict[str, dict[str, str]]
    checksum: str
    detail: str

    @property
    def holds(self) -> bool:
        """Whether every row is accounted for and every sum agrees."""
        return not self.detail

    def sentence(self) -> str:
        """What a person reads of it."""
        proof = "proved to the last digit" if self.holds else f"not proved: {self.detail}"
        return (
            f"{self.total:,} old rows = {self.copied:,} copied + {self.matched:,} matched + "
            f"{self.quarantined:,} in quarantine; {proof}."
        )


def certify(connection: Connection, statements: Statements, cutover_xid: int) -> Certificate:
    """Compare the archive with the ledger, in one snapshot."""
    values = {target: statements.value(target) for target in SUMMED}
    summed = {target: value for target, value in values.items() if value is not None}
    sides, sums = [], []
    for target, old in summed.items():
        names = {"side": sql.Identifier(f"{target}_ledger"), "old": sql.Identifier(target)}
        sides.append(
            sql.SQL("{} as {old}, a.{} as {side}").format(old, sql.Identifier(target), **names)
        )
        carried = sql.SQL("filter (where fate not in ('quarantined', 'lost'))")
        sums.append(
            sql.SQL(
                "sum({old}::numeric) {carried}, sum(case"
                " when was_changed or fate = 'deleted'"
                " or fate = 'matched' and not {name} = any(gained) then {old}"
                " else {side} end::numeric) {carried}"
            ).format(name=sql.Literal(target), carried=carried, **names)
        )
    columns = statements.carried
    query = sql.SQL(_CERTIFY).format(
        legacy=statements.table,
        ledger=LEDGER,
        old=sql.SQL(", ").join(sql.SQL("l.") + sql.Identifier(name) for name, _ in columns),
        new=sql.SQL(", ").join(sql.SQL("a.") + sql.Identifier(target) for _, target in columns),
        sides=sql.SQL(", ").join(sides) if sides else sql.SQL("true as nothing_summed"),
        sums=sql.SQL(", ").join(sums) if sums else sql.SQL("true"),
    )
    with connection.transaction():
        row = connection.execute(query, {"cutover": cutover_xid}).fetchone()
        unmapped = connection.execute(
            sql.SQL(_UNMAPPED).format(legacy=statements.table, person=statements.person)
        ).fetchone()
    if row is None or unmapped is None:
        raise AssertionError("an aggregate always gives one row")
    total, copied, matched, quarantined, deleted, lost, differing, checksum, *pairs = row
    exact = {
        target: {"legacy": str(pairs[2 * i] or 0), "ledger": str(pairs[2 * i + 1] or 0)}
        for i, target in enumerate(summed)
    }
    return Certificate(
        total=total,
        copied=copied,
        matched=matched,
        quarantined=quarantined,
        deleted=deleted,
        unmapped=unmapped[0],
        sums=exact,
        checksum=checksum,
        detail=_detail(lost, differing, exact),
    )


def _detail(
    lost: list[int] | None, differing: list[int] | None, sums: dict[str, dict[str, str]]
) -> str:
    faults = []
    if lost:
        faults.append(f"rows are missing, the first with the old ids {_ids(lost)}")
    if differing:
        faults.append(f"rows differ, the first with the old ids {_ids(differing)}")
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
            json.dumps(certificate.sums),
            certificate.checksum,
            certificate.holds,
            certificate.detail,
            run_id,
        ),
    )
