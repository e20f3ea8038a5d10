"""Take a bill in: all of a document or nothing of it, bucket by bucket, set by set.

A bucket that the document reports on replaces what was known of it, of the same fact (usage or
cost); the rows that it replaces are kept in the history. A bucket that says what was known already
changes nothing, so the same file can be imported again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from omniledger.bill import known
from omniledger.bill.checking import check
from omniledger.bill.facts import Fact
from omniledger.bill.reading import Document
from omniledger.database import Connection
from omniledger.errors import InputError

_STAGE = """
create temporary table incoming (
    fact text, bucket_start timestamptz, bucket_end timestamptz, position text, model text,
    token_kind text, quantity numeric, cost_type text, amount_usd numeric, list_amount_usd numeric,
    service_tier text, workspace text, api_key text, detail text
) on commit drop
"""

_COPY = "copy incoming from stdin"

_BUCKETS = """
create temporary table incoming_buckets on commit drop as
select fact, bucket_start, bucket_end, min(position) as position, false as is_known
from incoming
group by fact, bucket_start, bucket_end;

create index on incoming (bucket_start, fact);

analyze incoming, incoming_buckets
"""

_RECORD = """
insert into ledger.bill_imports (
    source, form, first_date, last_date, charges, amount_usd, tokens,
    buckets_changed, buckets_unchanged
)
select
    %(source)s,
    %(form)s,
    (min(bucket_start) at time zone 'UTC')::date,
    (max(bucket_start) at time zone 'UTC')::date,
    count(*) filter (where quantity is not null or amount_usd is not null),
    coalesce(trim_scale(sum(amount_usd)), 0),
    coalesce(sum(quantity) filter (where token_kind <> 'web_search'), 0),
    (select count(*) from incoming_buckets where not is_known),
    (select count(*) from incoming_buckets where is_known)
from incoming
returning
    import_id, form, first_date::text, last_date::text, charges, amount_usd, tokens,
    buckets_changed, buckets_unchanged
"""


@dataclass(frozen=True)
class Imported:
    """What an import held, and how many buckets of it were new or other than known."""

    import_id: int
    form: str
    first_date: str
    last_date: str
    charges: int
    amount_usd: Decimal
    tokens: Decimal
    buckets_changed: int
    buckets_unchanged: int


def take_in(connection: Connection, document: Document) -> Imported:
    """Import one document, in a transaction of its own.

    Raises:
        InputError: something in it can't be read or contradicts itself; nothing of it goes in.
        NotReadyError: the database isn't upgraded.
    """
    with known.alone(connection):
        connection.execute(_STAGE)
        if not _copy(connection, document.read()):
            raise InputError(f"{document.name} holds no rows, so there is nothing to import.")
        connection.execute(_BUCKETS)
        check(connection, document)
        return _replace(connection, document)


def _copy(connection: Connection, facts: Iterable[Fact]) -> int:
    rows = 0
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for f in facts:
            copy.write_row(
                (
                    *(f.fact, f.start, f.end, f.position, f.model, f.kind, f.quantity),
                    *(f.cost_type, f.amount, f.list_amount, f.tier, f.workspace, f.api_key),
                    f.detail,
                )
            )
            rows += 1
    return rows


def _replace(connection: Connection, document: Document) -> Imported:
    known.mark_known(connection)
    named = {"source": document.name, "form": document.form}
    row = connection.execute(_RECORD, named).fetchone()
    assert row is not None  # noqa: S101 (INSERT … RETURNING of one aggregate row)
    imported = Imported(*row)
    known.set_aside(connection, imported.import_id)
    known.remember(connection, imported.import_id)
    return imported
