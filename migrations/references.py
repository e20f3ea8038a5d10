"""Foreign keys of the old table, and to it, as they are looked at before any change."""

from __future__ import annotations

from collections.abc import Iterator

from omniledger.database import Connection

_REFERRING = """
    select a.attname
    from pg_constraint as k
    inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = any(k.conkey)
    where k.conrelid = to_regclass(%s) and k.contype = 'f'
"""

_TO_MORE_THAN_ID = """
    select format(
        'the foreign key %%s of %%s references more of it than its id',
        k.conname, k.conrelid::regclass
    )
    from pg_constraint as k
    where
        k.confrelid = to_regclass(%(relation)s)
        and k.contype = 'f'
        and k.conparentid = 0
        and not exists (
            select from pg_attribute as a
            where
                a.attrelid = k.confrelid
                and a.attname = 'id'
                and k.confkey = array[a.attnum]
                and k.conrelid <> k.confrelid
        )
    order by k.conname
"""

# Without NOT VALID its rows would be read while writers wait.
_OF_PARTITIONED = """
    select format(
        'the foreign key %%s is of %%s, which is partitioned', k.conname, k.conrelid::regclass
    )
    from pg_constraint as k
    inner join pg_class as c on k.conrelid = c.oid
    where
        k.confrelid = to_regclass(%(relation)s)
        and k.contype = 'f'
        and k.conparentid = 0
        and c.relkind = 'p'
    order by k.conname
"""

# A default of the ledger's column would be that of the gateway's rows, too.
_TO_DEFAULT = """
    select format('its foreign key %%s sets a default', k.conname)
    from pg_constraint as k
    where
        k.conrelid = to_regclass(%(relation)s)
        and k.contype = 'f'
        and k.conparentid = 0
        and 'd' in (k.confdeltype, k.confupdtype)
        and exists (
            select from pg_attribute as a
            inner join pg_type as t on a.atttypid = t.oid
            left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
            where
                a.attrelid = k.conrelid
                and a.attnum = any(k.conkey)
                and coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) not like 'NULL::%%'
        )
    order by k.conname
"""

CHECKS_PARTITIONS_LATER = 180000
"""The version of the server that takes a foreign key of a partitioned table NOT VALID."""


def referring_columns(connection: Connection, relation: str) -> set[str]:
    """The columns of a table that are part of a foreign key."""
    return {row[0] for row in connection.execute(_REFERRING, (relation,))}


def uncarried(connection: Connection, relation: str) -> Iterator[str]:
    """Which foreign keys can't go on after the cut over as they were, each a reason why not."""
    queries = [_TO_MORE_THAN_ID, _TO_DEFAULT]
    if connection.info.server_version < CHECKS_PARTITIONS_LATER:
        queries.append(_OF_PARTITIONED)
    for query in queries:
        for (why,) in connection.execute(query, {"relation": relation}):
            yield why
