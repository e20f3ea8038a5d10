"""What was imported, and of which days the bill is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omniledger.bill.known import require_place
from omniledger.database import Connection

_IMPORTS = """
select
    import_id, imported_at, source, form, first_date, last_date, charges, amount_usd, tokens,
    buckets_changed, buckets_unchanged
from ledger.bill_imports
order by import_id
"""


def imports(connection: Connection) -> Iterator[dict[str, Any]]:
    """Each import, oldest first; figures are exact, days are UTC.

    Raises:
        NotReadyError: the database isn't upgraded.
    """
    require_place(connection)
    cursor = connection.execute(_IMPORTS)
    names = [column.name for column in cursor.description or ()]
    for row in cursor:
        yield dict(zip(names, row, strict=True))
