"""What was imported, and of which days the bill is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omniledger.bill.known import require_place
from omniledger.database import Connection

_IMPORTS = """
select
    imports.import_id,
    imports.imported_at,
    imports.source,
    imports.form,
    imports.first_date,
    imports.last_date,
    imports.charges,
    imports.amount_usd,
    imports.tokens,
    imports.buckets_changed,
    imports.buckets_unchanged,
    coalesce(known.buckets, 0) as buckets_in_force
from ledger.bill_imports as imports
left join (
    select import_id, count(*) as buckets from ledger.provider_buckets group by import_id
) as known on known.import_id = imports.import_id
order by imports.import_id
"""


def imports(connection: Connection) -> Iterator[dict[str, Any]]:
    """Each import, oldest first; figures are exact, days are UTC.

    `buckets_in_force` are those of its buckets that no later import said again and none removed.

    Raises:
        NotReadyError: the database isn't upgraded.
    """
    require_place(connection)
    cursor = connection.execute(_IMPORTS)
    names = [column.name for column in cursor.description or ()]
    for row in cursor:
        yield dict(zip(names, row, strict=True))
