"""Let the rows that are there follow what the map says of their person now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from migrations.memory import forget, noted
from omniledger.database import Connection

_SETTLE_SECONDS = 10
"""How long to wait for transactions that began before the map changed."""


TAKE_TURN = "select pg_advisory_xact_lock(%s)"

LOCK = 0x6F6D6E6975736572
"""The advisory lock of whoever changes the map: the letters "omniuser"."""

UNMAPPED = "users_unmapped"
"""JSON: a user who is nobody again → who that was, until no row carries them any more."""

# Only what came from the map: never the gateway's own rows, nor a user that somebody else set. The
# map is read as it is now, for somebody may have said otherwise since.
_WRONG = """
    select a.id, m.user_id
    from omni2.audit_logs as a
    inner join ledger.user_map as m on m.legacy_user_id = %(legacy)s
    where
        a.legacy_user_id = %(legacy)s
        and a.source_system <> 'gateway'
        and (a.user_id is null or a.user_id = any(m.replaces))
        and a.user_id is distinct from m.user_id
"""

_CHARGED = """
    select a.id, null::integer as user_id
    from omni2.audit_logs as a
    where
        a.legacy_user_id = %(legacy)s
        and a.source_system <> 'gateway'
        and a.user_id = any(%(earlier)s)
        and not exists (select from ledger.user_map as m where m.legacy_user_id = %(legacy)s)
"""
"""The same of a person who is nobody."""

# Who has a row of them at work is not waited for, nor kept waiting; it comes later.
_CORRECT = """
    with wrong as ({wrong} limit 5000 for no key update of a skip locked)

    update omni2.audit_logs as a
    set user_id = wrong.user_id
    from wrong
    where a.id = wrong.id
"""

_IS_LEFT = "select exists ({wrong})"

_REPLACING = "select user_id, replaces from ledger.user_map where legacy_user_id = %s"

_IS_CORRECTED = """
    update ledger.user_map set replaces = '{}'
    where legacy_user_id = %s and user_id = %s and replaces = %s::integer []
"""

# Who writes reads the map before it has a transaction's number.
_WRITERS = """
    select array_agg(distinct held.virtualtransaction)
    from pg_locks as held
    inner join pg_locks as writing on held.virtualtransaction = writing.virtualtransaction
    where
        held.relation = 'ledger.user_map'::regclass
        and writing.relation = 'omni2.audit_logs'::regclass
        and writing.mode = 'RowExclusiveLock'
        and held.database = (select oid from pg_database where datname = current_database())
        and writing.database = held.database
        and held.pid is distinct from pg_backend_pid()
"""

_WRITE_STILL = "select exists (select from pg_locks where virtualtransaction = any(%s))"

_NEXT_XID = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_OLDEST_XID = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True)
class Corrected:
    """What a change of the map did to rows that were there.

    Attributes:
        is_settled: False where transactions were still open at the end that began before the
            change, or have rows at work, so that what they wrote may follow the old map; the same
            command corrects it.
    """

    rows: int
    is_settled: bool = True


def correct(connection: Connection, legacy_ids: list[int]) -> Corrected:
    """Correct rows until none can be left that was written by the old map."""
    replacing = {
        legacy: connection.execute(_REPLACING, (legacy,)).fetchone() for legacy in legacy_ids
    }
    barrier = _number(connection, _NEXT_XID)
    writers = connection.execute(_WRITERS).fetchone() or (None,)
    give_up = time.monotonic() + _SETTLE_SECONDS
    rows = 0
    while True:
        is_settled = _number(connection, _OLDEST_XID) >= barrier and not _is(
            connection, _WRITE_STILL, writers
        )
        for legacy in legacy_ids:
            corrected, is_left = _correct(connection, legacy)
            rows += corrected
            is_settled = is_settled and not is_left
        if is_settled or time.monotonic() > give_up:
            break
        time.sleep(0.2)
    if is_settled:
        for legacy, known in replacing.items():
            _forget_earlier(connection, legacy, known)
    return Corrected(rows, is_settled)


def _correct(connection: Connection, legacy: int) -> tuple[int, bool]:
    """Correct one person's rows: how many, and whether some are left that others have at work."""
    earlier = noted(connection, UNMAPPED).get(str(legacy), [])
    wrong = _CHARGED if earlier else _WRONG
    values = {"legacy": legacy, "earlier": earlier}
    corrected = 0
    while batch := connection.execute(_CORRECT.format(wrong=wrong).encode(), values).rowcount:
        corrected += batch
    return corrected, _is(connection, _IS_LEFT.format(wrong=wrong), values)


def _forget_earlier(
    connection: Connection, legacy: int, known: tuple[int, list[int]] | None
) -> None:
    """No row carries an earlier user any more; unless somebody said otherwise meanwhile."""
    if known is not None:
        connection.execute(_IS_CORRECTED, (legacy, *known))
        return
    with connection.transaction():
        connection.execute(TAKE_TURN, (LOCK,))
        if connection.execute(_REPLACING, (legacy,)).fetchone() is None:
            forget(connection, UNMAPPED, str(legacy))


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def _is(connection: Connection, query: str, values: Sequence[object] | dict[str, object]) -> bool:
    return connection.execute(query.encode(), values).fetchone() == (True,)
