"""The stretches of time that a model's prices are for."""

from __future__ import annotations

from datetime import datetime

from omniledger.database import Connection
from omniledger.pricing.rates import RATE_COLUMNS

ENDS_AT = """
least(
    coalesce(valid_to, 'infinity'),
    coalesce(lead(valid_from) over (partition by model, is_own order by valid_from), 'infinity')
)
"""
"""SQL of when a price of `ledger.model_prices` ends: at its own end, or where the next begins."""

_CLOSE = """
update ledger.model_prices set valid_to = %(at)s::timestamptz
where
    model = %(model)s
    and is_own = %(is_own)s
    and valid_from < coalesce(%(at)s::timestamptz, '-infinity')
    and (valid_to is null or valid_to > %(at)s::timestamptz)
"""


# What is stated of a time within another ends that one there, and it goes on after it.
_GO_ON = f"""
insert into ledger.model_prices
    (model, is_own, valid_from, valid_to, source, discount, {", ".join(RATE_COLUMNS)})
select
    model, is_own, %(end)s::timestamptz, nullif(ends_at, 'infinity'), source, discount,
    {", ".join(RATE_COLUMNS)}
from (
    select *, {ENDS_AT} as ends_at
    from ledger.model_prices
    where model = %(model)s and is_own
) as own
where valid_from < %(end)s::timestamptz and ends_at > %(end)s::timestamptz
"""  # noqa: S608 (constants)

_TAKE_OUT = """
delete from ledger.model_prices
where
    model = %(model)s
    and is_own
    and valid_from >= coalesce(%(start)s::timestamptz, '-infinity')
    and valid_from < coalesce(%(end)s::timestamptz, 'infinity')
"""


def make_room(
    connection: Connection, model: str, start: datetime | None, end: datetime | None
) -> None:
    """Take the operator's prices of a model out of a stretch of time; None is ever.

    What they say of the time before it and after it they go on saying.
    """
    stretch = {"model": model, "start": start, "end": end}
    if end is not None:
        connection.execute(_GO_ON.encode(), stretch)
    connection.execute(_TAKE_OUT, stretch)
    close(connection, model, start, is_own=True)


def close(connection: Connection, model: str, at: datetime | None, *, is_own: bool) -> None:
    """End the price in force at `at`; None is ever, when none was.

    Args:
        is_own: whether of the operator's prices, or else of the list's.
    """
    connection.execute(_CLOSE, {"model": model, "at": at, "is_own": is_own})
