"""What the catalog says of a table."""

from __future__ import annotations

from omniledger.database import Connection

_COLUMNS = """
select attname::text, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
order by attnum
"""


def columns_of(connection: Connection, relation: str) -> dict[str, str]:
    """The columns of a table with their types, in order; none where there is no such table."""
    return dict(connection.execute(_COLUMNS, [relation]).fetchall())
