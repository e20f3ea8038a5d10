"""What is known of bills: its tables and their history, and who may change them at a time.

What changes is said by the temporary table `incoming_buckets`: times, each of one fact (usage or
cost), and whether what is said of them was known already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from omniledger.analytics.link import require_own
from omniledger.catalog import is_there
from omniledger.database import Connection
from omniledger.errors import NotReadyError

_LOCK = 0x6F6D6E6962696C6C
"""The advisory lock of who imports: the letters "omnibill"."""

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


def mark_known(connection: Connection) -> None:
    """Mark those times of which `incoming` says what is known already."""
    for fact in _TABLES:
        connection.execute(_composed(_MARK_KNOWN, fact))


def set_aside(connection: Connection, replaced_by: int) -> None:
    """Move what is known of the times in `incoming_buckets` into the history."""
    for fact in _TABLES:
        connection.execute(_composed(_REPLACE, fact), {"import_id": replaced_by})
    connection.execute(_FORGET_BUCKETS)


def remember(connection: Connection, import_id: int) -> None:
    """Know from now on what `incoming` says, where it was not known."""
    connection.execute(_REMEMBER_BUCKETS, {"import_id": import_id})
    for fact in _TABLES:
        connection.execute(_composed(_INSERT, fact), {"import_id": import_id})


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
