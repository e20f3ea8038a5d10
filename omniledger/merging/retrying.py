"""Try the quarantined rows again, after the operator mended `ledger.audit_quarantine.row`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import psycopg
from psycopg import sql

from migrations.legacy import ARCHIVE
from migrations.merge.copy import KNOWN_IDS, bring_over
from migrations.merge.record import Done, last_done
from migrations.merge.statements import LEDGER, Statements
from omniledger.analytics.link import require_own
from omniledger.catalog import columns_of
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.explaining import first_line
from omniledger.merging.status import quarantined
from omniledger.revisions import require_head

_BATCH = 1_000

_MENDED = sql.Identifier("pg_temp", "omniledger_mended")

_ASIDE = """
    select q.legacy_id, a.id is not null
    from ledger.audit_quarantine as q
    left join omni2.audit_logs as a on q.legacy_id = a.legacy_id
    where q.legacy_id > %s
    order by q.legacy_id
    limit %s
"""

# JSON has not all values to the letter, so that what nobody changed is the old row's own.
_FILL = """
    insert into {mended}
    select r.*
    from ledger.audit_quarantine as q
    inner join {archive} as l on q.legacy_id = l.id
    cross join lateral jsonb_populate_record(
        l.*,
        (
            select coalesce(jsonb_object_agg(was.key, coalesce(q.row -> was.key, 'null')), '{{}}')
            from jsonb_each(ledger.audit_as_json(l.*)) as was
            where was.key <> 'id' and q.row -> was.key is distinct from was.value
        )
    ) as r
    where q.legacy_id = any(%(ids)s)
"""

_STILL_BAD = """
    update ledger.audit_quarantine as q
    set reason = {complaint}
    from {mended} as l
    where l.id = q.legacy_id and q.reason <> {complaint}
"""

_RELEASE = """
    delete from ledger.audit_quarantine as q
    using {mended} as l
    where l.id = q.legacy_id and {complaint} is null
"""

_DROP_BAD = "delete from {mended} as l where {complaint} is not null"

# A row that is in the ledger already, without what was impossible, gains what it lacks.
_COMPLETE = """
    with mended as (
        select q.legacy_id, r.*
        from ledger.audit_quarantine as q
        cross join lateral jsonb_populate_record(
            null::omni2.audit_logs, q.row - 'legacy_id'
        ) as r ({columns})
        where q.legacy_id = any(%(ids)s)
    ),

    judged as (
        select
            a.id,
            a.legacy_id,
            ledger.audit_complaint(
                coalesce(a.timestamp, m.timestamp), coalesce(a.cost_usd, m.cost_usd)
            ) as complaint
        from {ledger} as a
        inner join mended as m on a.legacy_id = m.legacy_id
    ),

    refused as (
        update ledger.audit_quarantine as q
        set reason = j.complaint
        from judged as j
        where q.legacy_id = j.legacy_id and j.complaint <> q.reason
    ),

    released as (
        delete from ledger.audit_quarantine as q
        using judged as j
        where q.legacy_id = j.legacy_id and j.complaint is null
    )

    update {ledger} as a
    set timestamp = coalesce(a.timestamp, m.timestamp), cost_usd = coalesce(a.cost_usd, m.cost_usd)
    from mended as m
    inner join judged as j on m.legacy_id = j.legacy_id
    where a.id = j.id and j.complaint is null
"""


@dataclass(frozen=True)
class Retried:
    """What became of the quarantined rows: brought over, or still aside by reason."""

    brought: int
    still: dict[str, int]


class _Mended(Statements):
    """The merge's SQL, reading the mended rows in place of the old table."""

    @cached_property
    def table(self) -> sql.Composable:
        return _MENDED


def retry(connection: Connection, window: Decimal) -> Retried:
    """Bring over the quarantined rows that the ledger can hold now, as the merge itself would.

    Each batch is one transaction: it can be killed and repeated at any time.

    Args:
        connection: an autocommit connection, while no merge runs.
        window: how far apart the two logs of one request may be, in seconds.

    Raises:
        NotReadyError: no merge has been cut over, the database isn't at the newest revision, or it
            is a copy.
    """
    require_head(connection)
    require_own(connection)
    done = last_done(connection)
    if done is None:
        raise NotReadyError(
            "No merge has been cut over on this database; until then mend the row in the old "
            "table itself, the merge takes it up."
        )
    before, after = sum(quarantined(connection).values()), -(2**63)
    while batch := connection.execute(_ASIDE, (after, _BATCH)).fetchall():
        after = batch[-1][0]
        _each(connection, [id_ for id_, is_there in batch if is_there], _complete)

        def bring(connection: Connection, ids: list[int]) -> None:
            _bring(connection, done, window, ids)

        if done.legacy.has_table:
            _each(connection, [id_ for id_, is_there in batch if not is_there], bring)
    still = quarantined(connection)
    return Retried(before - sum(still.values()), still)


def _each(
    connection: Connection, ids: list[int], act: Callable[[Connection, list[int]], None]
) -> None:
    """Do a batch at once; where one row spoils it, row by row, and that row says why."""
    if not ids:
        return
    try:
        with connection.transaction():
            act(connection, ids)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(ids) > 1:
            for id_ in ids:
                _each(connection, [id_], act)
            return
        connection.execute(
            "update ledger.audit_quarantine set reason = %s where legacy_id = %s",
            (f"the mended row is refused: {first_line(error)}", ids[0]),
        )


def _bring(connection: Connection, done: Done, window: Decimal, ids: list[int]) -> None:
    statements = _Mended(done.legacy, archived=True)
    names = {"mended": _MENDED, "complaint": statements.complaint}
    connection.execute(
        sql.SQL("create temp table omniledger_mended (like ledger.{}) on commit drop").format(
            sql.Identifier(ARCHIVE)
        )
    )
    archive = sql.Identifier("ledger", ARCHIVE)
    values: dict[str, object] = {"ids": ids, "window": window}
    connection.execute(sql.SQL(_FILL).format(mended=_MENDED, archive=archive), values)
    for text in (_STILL_BAD, _RELEASE, _DROP_BAD):
        connection.execute(sql.SQL(text).format(**names))
    everything = sql.SQL("true")
    connection.execute(statements.match(everything), values)
    bring_over(connection, statements, everything, KNOWN_IDS, values)


def _complete(connection: Connection, ids: list[int]) -> None:
    columns = columns_of(connection, "omni2.audit_logs")
    # Named anew, for the record has a `legacy_id` of its own.
    renamed = [sql.Identifier("unread" if name == "legacy_id" else name) for name in columns]
    query = sql.SQL(_COMPLETE).format(ledger=LEDGER, columns=sql.SQL(", ").join(renamed))
    connection.execute(query, {"ids": ids})
