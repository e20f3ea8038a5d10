"""Whether whoever writes the old name can count on: its sequence, and that of the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from migrations.legacy import NAME, Legacy
from migrations.merge.cutover import is_drawn
from migrations.merge.labels import Labels
from migrations.sequences import behind, ledger_sequence
from omniledger.catalog import is_there
from omniledger.database import Connection

_ID_DEFAULT = """
    select pg_get_expr(d.adbin, d.adrelid)
    from pg_attrdef as d
    inner join pg_attribute as a on d.adrelid = a.attrelid and d.adnum = a.attnum
    where d.adrelid = to_regclass(%s) and a.attname = 'id'
"""

_MAY_DRAW = "select has_sequence_privilege(%s, %s, 'usage, update')"


def uncounted(connection: Connection, legacy: Legacy) -> Iterator[str]:
    """Whether the next ids are ones that nobody has."""
    default = connection.execute(_ID_DEFAULT, (legacy.relation,)).fetchone()
    sequence = legacy.id_sequence
    if (
        sequence is not None
        and is_there(connection, legacy.relation)
        and is_drawn(connection, legacy, sql.Identifier(*sequence))
    ):
        name = sql.Identifier(*sequence).as_string(connection)
        if default is None:
            yield (
                f"The id of {legacy.schema}.{NAME} has no default: alter view {legacy.relation} "
                f"alter column id set default nextval('{name}')."
            )
        yield from _behind(connection, name, "legacy_id")
        yield from _not_theirs(connection, legacy, name)
    ours = ledger_sequence(connection)
    if ours is not None:
        yield from _behind(connection, ours, "id")
        yield from _not_theirs(connection, legacy, ours)


def _behind(connection: Connection, sequence: str, column: str) -> Iterator[str]:
    if not is_there(connection, sequence):
        yield f"The sequence {sequence} is not there: make it again, starting above all ids."
        return
    found = behind(connection, sequence, column)
    if found is not None:
        yield (
            f"The sequence {sequence} is at {found.given}, behind the highest {column} "
            f"{found.highest}, so that an insert will be refused: select setval('{sequence}', "
            f"{found.highest})."
        )


def _not_theirs(connection: Connection, legacy: Legacy, sequence: str) -> Iterator[str]:
    """Who may write the old name, but not draw the ids for it."""
    if not is_there(connection, sequence):
        return
    for role in Labels.read(connection, legacy.relation).holders("INSERT"):
        if connection.execute(_MAY_DRAW, (role, sequence)).fetchone() == (False,):
            yield (
                f"{role} may write {legacy.schema}.{NAME}, and not draw its ids: grant usage on "
                f"sequence {sequence} to {role}."
            )
