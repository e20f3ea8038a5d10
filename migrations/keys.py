"""The unique keys of the legacy table beside its id, which go on refusing doubles and only those.

The gateway's own rows must not be held to them. A row that the gateway wrote has no value in a
column that only the old name writes, and rows without a value are no doubles: so each key is of
such columns, and can stand on all of the ledger, where `on conflict` finds it. A request that both
systems logged has the old table's values in them, and not the gateway's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from migrations.placing import Carried
from omniledger.database import Connection

KEY_COLUMNS = """
    array(
        select a.attname::text
        from unnest(i.indkey::smallint []) with ordinality as k (attnum, place)
        inner join pg_attribute as a on i.indrelid = a.attrelid and k.attnum = a.attnum
        where k.place <= i.indnkeyatts
        order by k.place
    )
"""
"""The names of the columns that the index `i` is by, in order, but for expressions."""

_KEYS = f"""
    select
        c.relname,
        {KEY_COLUMNS},
        i.indexprs is not null,
        i.indisexclusion or a.amname <> 'btree',
        not i.indimmediate,
        -- It came with PostgreSQL 15.
        coalesce(to_jsonb(i) ->> 'indnullsnotdistinct' = 'true', false)
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_am as a on c.relam = a.oid
    where
        i.indrelid = to_regclass(%s)
        and (i.indisunique or i.indisexclusion)
        and i.indisvalid
    order by c.relname
"""  # noqa: S608 (no value of anybody's in it)


@dataclass(frozen=True)
class Key:
    """A unique index of the legacy table that is not its id's.

    Attributes:
        columns: those that are its key, but for expressions.
        obstacle: why it can't be carried, or "".
    """

    name: str
    columns: tuple[str, ...]
    obstacle: str


def read_keys(connection: Connection, relation: str) -> Iterator[Key]:
    """The unique indexes of a table, but for those of the id alone, by their names."""
    for name, columns, *odd in connection.execute(_KEYS.encode(), (relation,)):
        has_expression, excludes, is_deferrable, takes_one_null = odd
        obstacle = ""
        if excludes:
            obstacle = f"its exclusion constraint {name} is more than a unique key"
        elif has_expression:
            obstacle = f"its unique index {name} is over an expression"
        elif is_deferrable:
            obstacle = f"its unique constraint {name} is deferrable"
        elif takes_one_null:
            obstacle = f"its unique index {name} takes rows without a value for doubles"
        if obstacle or columns != ["id"]:
            yield Key(name, tuple(columns), obstacle)


def set_apart(
    keys: Iterable[Key], referring: Set[str], carried: Iterable[Carried], shared: Set[str]
) -> frozenset[str]:
    """The legacy columns that need a place of their own, so that keys are of such alone.

    Args:
        keys: the keys.
        referring: the legacy columns of foreign keys, which bind nobody else's rows either.
        carried: where the columns would go else.
        shared: the columns of the ledger in which rows of the gateway's may have a value.
    """
    targets = {column.name: column.target for column in carried}
    held = {*referring, *(name for key in keys for name in key.columns)}
    return frozenset(name for name in held if targets[name] in shared)
