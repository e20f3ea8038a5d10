"""The proof that no old row was lost: one pass over the frozen archive."""

from __future__ import annotations

import json
from dataclasses import dataclass

from psycopg import sql

from migrations.legacy import SUMMED
from migrations.merge.statements import LEDGER, Statements
from omniledger.certificate import sentence
from omniledger.database import Connection

# A gateway row that matched keeps its own values, so it is held to what it gained. Rows written
# again since the cut over are their writer's business, not the merge's.
_CERTIFY = """
with paired as (
    select
        l.id,
        case
            when a.id is not null and {complaint} is not null then 'mended'
            when a.source_system = 'gateway' then 'matched'
            when a.id is not null then 'copied'
            when q.legacy_id is not null then 'quarantined'
            when t.legacy_id is not null then 'deleted'
            else 'lost'
        end as fate,
        coalesce(a.change_xid >= %(cutover)s, false) as was_changed,
        hashtextextended(row({old})::text, 0) = hashtextextended(row({new})::text, 0) as is_equal,
        hashtextextended(l::text, 0) as fingerprint,
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
    count(*) filter (where fate = 'mended') as mended,
    count(*) filter (where fate = 'deleted') as deleted,
    count(*) filter (where fate = 'copied' and was_changed and not is_equal) as changed,
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
    select count(distinct l.user_id)
    from {legacy} as l
    where
        l.user_id is not null
        and not exists (
            select from ledger.user_map as m where m.legacy_user_id = l.user_id
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


def certify(connection: Connection, statements: Statements, cutover_xid: int) -> Certificate:
    """Compare the archive with the ledger, in one snapshot."""
    by_target = {c.target: c.name for c in statements.legacy.columns}
    summed = [target for target in SUMMED if target in by_target]
    sides, sums = [], []
    for target in summed:
        old = sql.SQL("l.") + sql.Identifier(by_target[target])
        names = {"side": sql.Identifier(f"{target}_ledger"), "old": sql.Identifier(target)}
        sides.append(
            sql.SQL("{} as {old}, a.{} as {side}").format(old, sql.Identifier(target), **names)
        )
        carried = sql.SQL("filter (where fate not in ('quarantined', 'mended', 'lost'))")
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
        complaint=statements.complaint,
        old=sql.SQL(", ").join(sql.SQL("l.") + sql.Identifier(name) for name, _ in columns),
        new=sql.SQL(", ").join(sql.SQL("a.") + sql.Identifier(target) for _, target in columns),
        sides=sql.SQL(", ").join(sides) if sides else sql.SQL("true as nothing_summed"),
        sums=sql.SQL(", ").join(sums) if sums else sql.SQL("true"),
    )
    with connection.transaction():
        for setting in _SPELLING:
            connection.execute(setting)
        row = connection.execute(query, {"cutover": cutover_xid}).fetchone()
        unmapped = connection.execute(sql.SQL(_UNMAPPED).format(legacy=statements.table)).fetchone()
    if row is None or unmapped is None:
        raise AssertionError("an aggregate always gives one row")
    (
        total,
        copied,
        matched,
        quarantined,
        mended,
        deleted,
        changed,
        lost,
        differing,
        checksum,
        *pairs,
    ) = row
    exact = {
        target: {"legacy": str(pairs[2 * i] or 0), "ledger": str(pairs[2 * i + 1] or 0)}
        for i, target in enumerate(summed)
    }
    return Certificate(
        total=total,
        copied=copied,
        matched=matched,
        quarantined=quarantined,
        mended=mended,
        deleted=deleted,
        changed=changed,
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
