"""What a document says that contradicts itself, or what is known of its time."""

from __future__ import annotations

from omniledger.bill.reading import Document
from omniledger.database import Connection
from omniledger.errors import InputError
from omniledger.moments import in_utc

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


def check(connection: Connection, document: Document) -> None:
    """Refuse the rows of a document, which are in `incoming` and `incoming_buckets`.

    Raises:
        InputError: they count something twice, overlap, or are a part of what is known as a whole.
    """
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
