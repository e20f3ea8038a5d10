"""What the catalog says of a table."""

from __future__ import annotations

from omniledger.database import Connection

_COLUMNS = """
select attname::text, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
order by attnum
"""

_KIND = "select relkind::text from pg_class where oid = to_regclass(%s)"


def kind_of(connection: Connection, relation: str) -> str | None:
    """The kind of a relation, by its quoted name, as the catalog has it: r, v, …; None for none."""
    row = connection.execute(_KIND, [relation]).fetchone()
    return None if row is None else str(row[0])


def is_there(connection: Connection, relation: str) -> bool:
    """Whether a table, view, index or sequence of this quoted name is there."""
    return kind_of(connection, relation) is not None


def columns_of(connection: Connection, relation: str) -> dict[str, str]:
    """The columns of a table with their types, in order; none where there is no such table."""
    return dict(connection.execute(_COLUMNS, [relation]).fetchall())
