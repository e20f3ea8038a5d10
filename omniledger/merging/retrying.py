"""Try the quarantined rows again, after the operator mended `ledger.audit_quarantine.row`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial
from typing import TypeVar

import psycopg
from psycopg import sql

from migrations.legacy import ARCHIVE
from migrations.merge.batches import BEFORE_ALL
from migrations.merge.copy import KNOWN_IDS, bring_over
from migrations.merge.record import Done, last_done
from migrations.merge.statements import LEDGER, Statements
from migrations.patience import patiently
from omniledger.analytics.link import require_own
from omniledger.catalog import columns_of
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.explaining import first_line
from omniledger.merging.status import quarantined
from omniledger.revisions import require_head

_BATCH = 1_000

Result = TypeVar("Result")

_MENDED = sql.Identifier("pg_temp", "omniledger_mended")

_QUARANTINE = "ledger.audit_quarantine"

_ASIDE = """
    select q.legacy_id, a.id is not null
    from ledger.audit_quarantine as q
    left join omni2.audit_logs as a on q.legacy_id = a.legacy_id
    where q.legacy_id > %(after)s and q.legacy_id <> all(%(taken)s::bigint [])
    order by q.legacy_id
    limit %(batch)s
"""

# The ledger's row is locked first, as by whoever writes it, whose trigger then sets it aside.
_LOCK_ROWS = """
    select a.id
    from omni2.audit_logs as a
    where a.legacy_id = any(%(ids)s)
    order by a.id
    for no key update
"""

# What somebody is just mending is read when it is there, and not released as it was before.
_LOCK_ASIDE = """
    select q.legacy_id
    from ledger.audit_quarantine as q
    where q.legacy_id = any(%(ids)s)
    order by q.legacy_id
    for update
"""

# What was written through the old name and is deleted there has nothing left to mend.
_FORGET_DELETED = """
    delete from ledger.audit_quarantine as q
    where
        exists (select from ledger.audit_tombstones as t where t.legacy_id = q.legacy_id)
        and not exists (select from omni2.audit_logs as a where a.legacy_id = q.legacy_id)
        {and_no_old_row}
"""

_AND_NO_OLD_ROW = "and not exists (select from {archive} as l where l.id = q.legacy_id)"

_TAKEN = """
    update ledger.audit_quarantine as q
    set reason = 'another row has its id under the old name now; give that one another id'
    from omni2.audit_logs as a
    where
        q.legacy_id = a.legacy_id
        and a.source_system = 'chat'
        and exists (select from {archive} as l where l.id = q.legacy_id)
    returning q.legacy_id
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

# Only what came: a trigger of somebody's may have let a row fall.
_RELEASE = """
    delete from ledger.audit_quarantine as q
    using {mended} as l
    inner join {ledger} as a on l.id = a.legacy_id
    where l.id = q.legacy_id and a.source_system <> 'chat'
"""

_NOT_TAKEN = """
    update ledger.audit_quarantine as q
    set reason = 'the ledger did not take the mended row; look at the triggers of omni2.audit_logs'
    from {mended} as l
    where l.id = q.legacy_id
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
        DatabaseError: others held rows for too long.
    """
    require_head(connection)
    require_own(connection)
    done = last_done(connection)
    if done is None:
        raise NotReadyError(
            "No merge has been cut over on this database; until then mend the row in the old "
            "table itself, the merge takes it up."
        )
    taken = _patiently(connection, partial(_set_right, connection, done))
    brought, after = 0, BEFORE_ALL
    while batch := connection.execute(
        _ASIDE, {"after": after, "taken": taken, "batch": _BATCH}
    ).fetchall():
        after = batch[-1][0]
        brought += _each(connection, [id_ for id_, is_there in batch if is_there], _complete)

        def bring(connection: Connection, ids: list[int]) -> int:
            return _bring(connection, done, window, ids)

        if done.legacy.has_table:
            brought += _each(connection, [id_ for id_, is_there in batch if not is_there], bring)
    return Retried(brought, quarantined(connection))


def _patiently(connection: Connection, act: Callable[[], Result]) -> Result:
    """Let nobody wait for us who writes a row, or mends one, and say for whom we wait."""
    return patiently(connection, _QUARANTINE, act, ["omni2.audit_logs"])


def _set_right(connection: Connection, done: Done) -> list[int]:
    """Forget rows that were deleted since; the ids that are another row's now."""
    archive = sql.Identifier("ledger", ARCHIVE)
    has_table = done.legacy.has_table
    no_old_row = sql.SQL(_AND_NO_OLD_ROW if has_table else "").format(archive=archive)
    with connection.transaction():
        connection.execute(sql.SQL(_FORGET_DELETED).format(and_no_old_row=no_old_row))
        if not has_table:
            return []
        taken = connection.execute(sql.SQL(_TAKEN).format(archive=archive))
        return [id_ for (id_,) in taken]


def _each(
    connection: Connection, ids: list[int], act: Callable[[Connection, list[int]], int]
) -> int:
    """Do a batch at once; where one row spoils it, row by row, and that row says why.

    Returns:
        How many rows were brought over.
    """
    if not ids:
        return 0

    def once() -> int:
        with connection.transaction():
            return act(connection, ids)

    try:
        return _patiently(connection, once)
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.RaiseException) as error:
        if len(ids) > 1:
            return sum(_each(connection, [id_], act) for id_ in ids)
        reason = f"the mended row is refused: {first_line(error)}"
    _patiently(
        connection,
        partial(
            connection.execute,
            "update ledger.audit_quarantine set reason = %s where legacy_id = %s",
            (reason, ids[0]),
        ),
    )
    return 0


def _bring(connection: Connection, done: Done, window: Decimal, ids: list[int]) -> int:
    statements = _Mended(done.legacy, archived=True)
    names = {"mended": _MENDED, "complaint": statements.complaint, "ledger": LEDGER}
    connection.execute(_LOCK_ASIDE, {"ids": ids})
    connection.execute(
        sql.SQL("create temp table omniledger_mended (like ledger.{}) on commit drop").format(
            sql.Identifier(ARCHIVE)
        )
    )
    archive = sql.Identifier("ledger", ARCHIVE)
    values: dict[str, object] = {"ids": ids, "window": window}
    connection.execute(sql.SQL(_FILL).format(mended=_MENDED, archive=archive), values)
    for text in (_STILL_BAD, _DROP_BAD):
        connection.execute(sql.SQL(text).format(**names))
    everything = sql.SQL("true")
    connection.execute(statements.match(everything), values)
    bring_over(connection, statements, everything, KNOWN_IDS, values)
    released = connection.execute(sql.SQL(_RELEASE).format(**names)).rowcount
    connection.execute(sql.SQL(_NOT_TAKEN).format(**names))
    return released


def _complete(connection: Connection, ids: list[int]) -> int:
    for text in (_LOCK_ROWS, _LOCK_ASIDE):
        connection.execute(text, {"ids": ids})
    columns = columns_of(connection, "omni2.audit_logs")
    # Named anew, for the record has a `legacy_id` of its own.
    renamed = [sql.Identifier("unread" if name == "legacy_id" else name) for name in columns]
    query = sql.SQL(_COMPLETE).format(ledger=LEDGER, columns=sql.SQL(", ").join(renamed))
    return connection.execute(query, {"ids": ids}).rowcount
