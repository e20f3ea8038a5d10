"""Take a bill in: all of a document or nothing of it, bucket by bucket, set by set.

A bucket that the document reports on replaces what was known of it, of the same fact (usage or
cost); the rows that it replaces are kept in the history. A bucket that says what was known already
changes nothing, so the same file can be imported again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from psycopg import sql

from omniledger.analytics.link import require_own
from omniledger.bill.facts import Fact
from omniledger.bill.reading import Document
from omniledger.catalog import is_there
from omniledger.database import Connection
from omniledger.errors import InputError, NotReadyError
from omniledger.moments import in_utc

_LOCK = 0x6F6D6E6962696C6C
"""The advisory lock of who imports: the letters "omnibill"."""

_STAGE = """
create temporary table incoming (
    fact text, bucket_start timestamptz, bucket_end timestamptz, position text, model text,
    token_kind text, quantity numeric, cost_type text, amount_usd numeric, list_amount_usd numeric,
    service_tier text, workspace text, api_key text, detail text
) on commit drop
"""

_COPY = "copy incoming from stdin"

_DOUBLES = """
select min(position), max(position)
from incoming
where quantity is not null or amount_usd is not null
group by
    fact, bucket_start, bucket_end, model, token_kind, cost_type, service_tier, workspace, api_key,
    detail
having count(*) > 1
order by 1
limit 1
"""

# Some rows of such a file may be alike and both meant; if each has its double, the file has one.
_WHOLLY_DOUBLED = """
select min(number) > 1
from (
    select count(*) as number
    from incoming
    where quantity is not null or amount_usd is not null
    group by
        fact, bucket_start, bucket_end, model, token_kind, quantity, cost_type, amount_usd,
        list_amount_usd, service_tier, workspace, api_key, detail
) as alike
"""

_BUCKETS = """
create temporary table incoming_buckets on commit drop as
select fact, bucket_start, bucket_end, min(position) as position, false as is_known
from incoming
group by fact, bucket_start, bucket_end;

create index on incoming (bucket_start, fact);

analyze incoming, incoming_buckets
"""

_OVERLAPPING = """
select bucket_start, position
from (
    select
        *,
        lead(bucket_start) over (partition by fact order by bucket_start, bucket_end) as next_start
    from incoming_buckets
) as ordered
where next_start < bucket_end
limit 1
"""

# What is known of a longer stretch can't be replaced by a part of it: the rest would be lost.
_HALF_REPLACED = """
select known.bucket_start, known.bucket_end, min(incoming.position)
from ledger.provider_buckets as known
inner join incoming_buckets as incoming
    on
        known.fact = incoming.fact
        and known.bucket_start < incoming.bucket_end
        and known.bucket_end > incoming.bucket_start
group by known.fact, known.bucket_start, known.bucket_end
having
    sum(
        least(known.bucket_end, incoming.bucket_end)
        - greatest(known.bucket_start, incoming.bucket_start)
    ) < known.bucket_end - known.bucket_start
order by 1
limit 1
"""

_MARK_KNOWN = """
update incoming_buckets as incoming
set is_known = true
from ledger.provider_buckets as known
where
    incoming.fact = {fact}
    and known.fact = {fact}
    and known.bucket_start = incoming.bucket_start
    and known.bucket_end = incoming.bucket_end
    and not exists (
        (
            ({new_rows}) except all ({old_rows})
        )
        union all
        (
            ({old_rows}) except all ({new_rows})
        )
    )
"""

_NEW_ROWS = """
select {columns}
from incoming as new
where
    new.fact = {fact}
    and new.bucket_start = known.bucket_start
    and new.bucket_end = known.bucket_end
    and new.{value} is not null
"""

_OLD_ROWS = """
select {columns}
from {table} as old
where old.bucket_start = known.bucket_start and old.bucket_end = known.bucket_end
"""

_REPLACE = """
with gone as (
    delete from {table} as old
    using incoming_buckets as incoming
    where
        incoming.fact = {fact}
        and not incoming.is_known
        and old.bucket_start < incoming.bucket_end
        and old.bucket_end > incoming.bucket_start
    returning {old_columns}, old.import_id
)

insert into {history} ({columns}, import_id, replaced_by)
select {columns}, import_id, %(import_id)s from gone
"""

# Buckets that were known are remembered anew, too: the provider has said it once more.
_FORGET_BUCKETS = """
delete from ledger.provider_buckets as known
using incoming_buckets as incoming
where
    known.fact = incoming.fact
    and known.bucket_start < incoming.bucket_end
    and known.bucket_end > incoming.bucket_start
"""

_REMEMBER_BUCKETS = """
insert into ledger.provider_buckets (fact, bucket_start, bucket_end, import_id)
select fact, bucket_start, bucket_end, %(import_id)s from incoming_buckets
"""

_INSERT = """
insert into {table} ({columns}, import_id)
select {new_columns}, %(import_id)s
from incoming as new
inner join incoming_buckets as changed
    on
        new.fact = changed.fact
        and new.bucket_start = changed.bucket_start
        and new.bucket_end = changed.bucket_end
where new.fact = {fact} and new.{value} is not null and not changed.is_known
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

_COLUMNS = {
    "usage": (
        *("bucket_start", "bucket_end", "model", "token_kind", "quantity", "service_tier"),
        *("workspace", "api_key", "detail"),
    ),
    "cost": (
        *("bucket_start", "bucket_end", "model", "cost_type", "token_kind", "amount_usd"),
        *("list_amount_usd", "service_tier", "workspace", "api_key", "detail"),
    ),
}
_TABLES = {"usage": "provider_usage", "cost": "provider_costs"}
_VALUES = {"usage": "quantity", "cost": "amount_usd"}


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
    with alone(connection):
        connection.execute(_STAGE)
        if not _copy(connection, document.read()):
            raise InputError(f"{document.name} holds no rows, so there is nothing to import.")
        connection.execute(_BUCKETS)
        _check(connection, document)
        return _replace(connection, document)


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """A transaction in which nobody else changes what is known of bills.

    Raises:
        NotReadyError: the database isn't upgraded, or is a copy of another one's figures.
    """
    with connection.transaction():
        require_place(connection)
        require_own(connection)
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        yield


def require_place(connection: Connection) -> None:
    """Refuse a database without the tables of bills.

    Raises:
        NotReadyError: it isn't upgraded.
    """
    if not is_there(connection, "ledger.bill_imports"):
        raise NotReadyError(
            "The database has no place for a bill yet; `alembic upgrade head` makes it."
        )


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


def _check(connection: Connection, document: Document) -> None:
    if not document.has_doubles:
        double = connection.execute(_DOUBLES).fetchone()
        if double is not None:
            raise InputError(
                f"{document.name}: {double[1]} counts again what {double[0]} counts; if both are "
                "meant, as a charge and its credit, add them up; else the file, or a page of it, "
                "is there twice; nothing of it was imported."
            )
    elif connection.execute(_WHOLLY_DOUBLED).fetchone() == (True,):
        raise InputError(
            f"{document.name}: every row of it is there more than once; if all are meant, add up "
            "those that are alike; nothing of it was imported."
        )
    overlapping = connection.execute(_OVERLAPPING).fetchone()
    if overlapping is not None:
        raise InputError(
            f"{document.name}, {overlapping[1]}: its time overlaps with another bucket of the same "
            "file; nothing of it was imported."
        )
    half = connection.execute(_HALF_REPLACED).fetchone()
    if half is not None:
        raise InputError(
            f"{document.name}, {half[2]}: it reports on a part of {in_utc(half[0])} to "
            f"{in_utc(half[1])}, of which the whole is known already; import the whole of "
            "that time; nothing of it was imported."
        )


def _replace(connection: Connection, document: Document) -> Imported:
    for fact in _TABLES:
        connection.execute(_composed(_MARK_KNOWN, fact))
    named = {"source": document.name, "form": document.form}
    row = connection.execute(_RECORD, named).fetchone()
    assert row is not None  # noqa: S101 (INSERT … RETURNING of one aggregate row)
    imported = Imported(*row)
    set_aside(connection, imported.import_id)
    new = {"import_id": imported.import_id}
    connection.execute(_REMEMBER_BUCKETS, new)
    for fact in _TABLES:
        connection.execute(_composed(_INSERT, fact), new)
    return imported


def set_aside(connection: Connection, replaced_by: int) -> None:
    """Move what is known of the times in `incoming_buckets` into the history."""
    for fact in _TABLES:
        connection.execute(_composed(_REPLACE, fact), {"import_id": replaced_by})
    connection.execute(_FORGET_BUCKETS)


def _composed(template: str, fact: str) -> sql.Composed:
    columns = _COLUMNS[fact]

    def listed(alias: str | None = None) -> sql.Composed:
        names = (sql.Identifier(alias, c) if alias else sql.Identifier(c) for c in columns)
        return sql.SQL(", ").join(names)

    parts: dict[str, sql.Composable] = {
        "fact": sql.Literal(fact),
        "table": sql.Identifier("ledger", _TABLES[fact]),
        "history": sql.Identifier("ledger", f"{_TABLES[fact]}_history"),
        "value": sql.Identifier(_VALUES[fact]),
        "columns": listed(),
        "old_columns": listed("old"),
        "new_columns": listed("new"),
    }
    rows = {
        "new_rows": sql.SQL(_NEW_ROWS).format(**parts),
        "old_rows": sql.SQL(_OLD_ROWS).format(**parts),
    }
    return sql.SQL(template).format(**parts, **rows)
