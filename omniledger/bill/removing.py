"""Take an import back: what it said last is not known any more, and is kept in the history."""

from __future__ import annotations

from dataclasses import dataclass

from omniledger.bill.known import alone, set_aside
from omniledger.database import Connection
from omniledger.errors import InputError

FORM = "removal"
"""What the list of imports calls one."""

_IS_THERE = "select exists (select from ledger.bill_imports where import_id = %s)"

_BUCKETS = """
create temporary table incoming_buckets on commit drop as
select fact, bucket_start, bucket_end, false as is_known
from ledger.provider_buckets
where import_id = %s
"""

# It is an import of nothing, so that the list of imports says all that came and went.
_RECORD = """
insert into ledger.bill_imports (
    source, form, first_date, last_date, charges, amount_usd, tokens,
    buckets_changed, buckets_unchanged
)
select
    'import ' || %(import_id)s::text,
    %(form)s,
    (min(bucket_start) at time zone 'UTC')::date,
    (max(bucket_start) at time zone 'UTC')::date,
    0,
    0,
    0,
    count(*),
    0
from incoming_buckets
having count(*) > 0
returning import_id, first_date::text, last_date::text, buckets_changed
"""


@dataclass(frozen=True)
class Removed:
    """A removal, which is an import of its own, and the days (UTC) that it is of."""

    import_id: int
    first_date: str
    last_date: str
    buckets_changed: int


def remove(connection: Connection, import_id: int) -> Removed:
    """Take back what an import was the last to say, in a transaction of its own.

    What it had replaced does not come back: of those times nothing is known until a bill of them is
    imported again.

    Raises:
        InputError: there is no such import, or later ones replaced all of it.
        NotReadyError: the database isn't upgraded.
    """
    with alone(connection):
        if connection.execute(_IS_THERE, [import_id]).fetchone() != (True,):
            raise InputError(
                f"There is no import {import_id}; `omniledger bill list` shows those there are."
            )
        connection.execute(_BUCKETS, [import_id])
        row = connection.execute(_RECORD, {"import_id": import_id, "form": FORM}).fetchone()
        if row is None:
            raise InputError(
                f"Nothing of import {import_id} is in force: later imports said all of it again, "
                "or it was removed before."
            )
        removed = Removed(*row)
        set_aside(connection, removed.import_id)
    return removed
