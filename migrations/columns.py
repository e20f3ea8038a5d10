"""The columns of a table as the catalog has them."""

from __future__ import annotations

from dataclasses import dataclass

from omniledger.database import Connection

_COLUMNS = """
    with recursive base as (
        select a.attnum, a.atttypid as typid, a.atttypmod as typmod
        from pg_attribute as a
        where a.attrelid = to_regclass(%(relation)s) and a.attnum > 0 and not a.attisdropped
        union all
        select b.attnum, t.typbasetype, t.typtypmod
        from base as b
        inner join pg_type as t on b.typid = t.oid
        where t.typtype = 'd'
    )

    select
        a.attname as name,
        (
            select format_type(b.typid, b.typmod)
            from base as b
            inner join pg_type as t on b.typid = t.oid
            where b.attnum = a.attnum and t.typtype <> 'd'
        ) as type,
        coalesce(
            pg_get_expr(d.adbin, d.adrelid),
            (select pg_get_expr(t.typdefaultbin, 0) from pg_type as t where a.atttypid = t.oid)
        ) as default_value,
        a.attidentity::text as identity,
        a.attgenerated::text as generated,
        a.attnotnull as is_required
    from pg_attribute as a
    left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
    where a.attrelid = to_regclass(%(relation)s) and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""


@dataclass(frozen=True)
class Column:
    """A column as the catalog has it.

    Attributes:
        type: with its modifier; of a domain, the type below it, which is what clients see.
        default: the default, its domain's where it has none of its own, or of a generated column
            its expression.
    """

    name: str
    type: str
    default: str | None
    identity: str
    generated: str
    is_required: bool = False


def read_columns(connection: Connection, relation: str) -> list[Column]:
    """The columns of a table, in order; none where there is no such table."""
    named = {"relation": relation}
    return [Column(*row) for row in connection.execute(_COLUMNS, named).fetchall()]
