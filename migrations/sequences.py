"""The sequence that the ledger's ids are drawn from, whether it is behind them, and its room."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from omniledger.database import Connection

_OWN = "select pg_get_serial_sequence('omni2.audit_logs', 'id')"

_BEHIND = """
    select s.given, m.highest
    from (select last_value - (not is_called)::integer as given from {sequence}) as s
    inner join (select max({column}) as highest from omni2.audit_logs) as m on s.given < m.highest
    where (select seqincrement > 0 from pg_sequence where seqrelid = to_regclass(%s))
"""

# Begun anew, a cycling one gives ids that there are.
_LEFT = """
    with room as (
        select
            s.seqincrement::numeric as step,
            least(s.seqmax, 2::numeric ^ (8 * t.typlen - 1) - 1) as highest,
            greatest(s.seqmin, -(2::numeric ^ (8 * t.typlen - 1))) as lowest,
            given.last_value::numeric as last_value,
            given.is_called::integer as is_called
        from {sequence} as given
        cross join pg_sequence as s
        inner join pg_attribute as a
            on a.attrelid = 'omni2.audit_logs'::regclass and a.attname = 'id'
        inner join pg_type as t on a.atttypid = t.oid
        where s.seqrelid = to_regclass(%s)
    )

    select greatest(
        div(case when step > 0 then highest else lowest end - last_value, step) + 1 - is_called, 0
    )
    from room
"""


class Behind(NamedTuple):
    """The number that a sequence gave last, and the highest that a row has."""

    given: int
    highest: int


def ledger_sequence(connection: Connection) -> str | None:
    """The quoted name of the sequence of `omni2.audit_logs.id`; None where it owns none."""
    row = connection.execute(_OWN).fetchone()
    return row[0] if row else None


def behind(connection: Connection, sequence: str, column: str) -> Behind | None:
    """Whether rows have ids already that a sequence is still to give; None where they haven't.

    Args:
        sequence: its quoted name; we must be allowed to read it.
        column: the column of `omni2.audit_logs` that it numbers.
    """
    query = sql.SQL(_BEHIND).format(sequence=sql.SQL(sequence), column=sql.Identifier(column))
    row = connection.execute(query, (sequence,)).fetchone()
    return None if row is None else Behind(*row)


def ids_left(connection: Connection, sequence: str) -> int:
    """How many ids a sequence has still to give to `omni2.audit_logs`.

    Args:
        sequence: its quoted name; we must be allowed to read it.
    """
    query = sql.SQL(_LEFT).format(sequence=sql.SQL(sequence))
    row = connection.execute(query, (sequence,)).fetchone()
    return int(row[0]) if row else 0
