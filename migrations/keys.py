"""The unique keys of the legacy table beside its id, which go on refusing doubles and only those.

The gateway's own rows must not be held to them. A row that the gateway wrote has no value in a
column that only the old name writes, and rows without a value are no doubles: so of each key one
column is such a one, and the key can stand on all of the ledger, where `on conflict` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from migrations.placing import Carried
from omniledger.database import Connection

_KEYS = """
    select
        c.relname,
        array(
            select a.attname::text
            from unnest(i.indkey::smallint []) with ordinality as k (attnum, place)
            inner join pg_attribute as a on i.indrelid = a.attrelid and k.attnum = a.attnum
            where k.place <= i.indnkeyatts
            order by k.place
        ),
        i.indexprs is not null,
        not i.indimmediate,
        -- It came with PostgreSQL 15.
        coalesce(to_jsonb(i) ->> 'indnullsnotdistinct' = 'true', false)
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    where i.indrelid = to_regclass(%s) and i.indisunique and i.indisvalid
    order by c.relname
"""


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
    for name, columns, has_expression, is_deferrable, takes_one_null in connection.execute(
        _KEYS, (relation,)
    ):
        obstacle = ""
        if has_expression:
            obstacle = f"its unique index {name} is over an expression"
        elif is_deferrable:
            obstacle = f"its unique constraint {name} is deferrable"
        elif takes_one_null:
            obstacle = f"its unique index {name} takes rows without a value for doubles"
        if obstacle or columns != ["id"]:
            yield Key(name, tuple(columns), obstacle)


def set_apart(
    keys: Iterable[Key], carried: Iterable[Carried], is_shared: Callable[[str], bool]
) -> frozenset[str]:
    """The legacy columns that need a place of their own, so that each key has one.

    Args:
        keys: the keys.
        carried: where the columns would go else.
        is_shared: whether rows of the gateway's may have a value in a column of the ledger.
    """
    targets = {column.name: column.target for column in carried}
    return frozenset(
        key.columns[0]
        for key in keys
        if key.columns and all(is_shared(targets[name]) for name in key.columns)
    )
