"""The stretches of time that a model's prices are for."""

from __future__ import annotations

from datetime import datetime

from omniledger.database import Connection

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


def close(connection: Connection, model: str, at: datetime | None, *, is_own: bool) -> None:
    """End the price in force at `at`; None is ever, when none was.

    Args:
        is_own: whether of the operator's prices, or else of the list's.
    """
    connection.execute(_CLOSE, {"model": model, "at": at, "is_own": is_own})
