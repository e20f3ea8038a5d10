"""The columns of a table as the catalog has them."""

from __future__ import annotations

from dataclasses import dataclass

from omniledger.database import Connection

_COLUMNS = """
    select
        a.attname as name,
        format_type(a.atttypid, a.atttypmod) as type,
        pg_get_expr(d.adbin, d.adrelid) as default_value,
        a.attidentity::text as identity,
        a.attgenerated::text as generated
    from pg_attribute as a
    left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
    where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""


@dataclass(frozen=True)
class Column:
    """A column as the catalog has it."""

    name: str
    type: str
    default: str | None
    identity: str
    generated: str


def read_columns(connection: Connection, relation: str) -> list[Column]:
    """The columns of a table, in order; none where there is no such table."""
    return [Column(*row) for row in connection.execute(_COLUMNS, (relation,)).fetchall()]
