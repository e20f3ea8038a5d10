"""The operator's own prices and discounts, which stand before the list's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from omniledger.analytics.link import require_own
from omniledger.database import Connection
from omniledger.errors import InputError
from omniledger.pricing.names import canonical, introduce, nearest
from omniledger.pricing.rates import RATE_COLUMNS, Rates
from omniledger.pricing.stretches import ENDS_AT, make_room

HIGHEST = Decimal(1_000_000)
"""A million dollars for a million tokens: whoever says more meant another unit."""

_DECIMALS = 20
"""Of a price or a percentage; the database holds more, nobody means them."""

_SAY = f"""
insert into ledger.model_prices
    (model, is_own, valid_from, valid_to, source, discount, {", ".join(RATE_COLUMNS)})
values (%s, true, coalesce(%s::timestamptz, '-infinity'), %s, %s, %s, %s, %s, %s, %s, %s)
"""  # noqa: S608 (constants)

_TAKE_BACK = "delete from ledger.model_prices where model = %s and is_own"

# The stretches of the list that a discount is for: the list's prices, cut to its time.
_LIST_WITHIN = f"""
select
    nullif(greatest(valid_from, coalesce(%(start)s::timestamptz, '-infinity')), '-infinity'),
    nullif(least(ends_at, coalesce(%(end)s::timestamptz, 'infinity')), 'infinity'),
    source,
    {", ".join(RATE_COLUMNS)}
from (
    select
        *,
        {ENDS_AT} as ends_at
    from ledger.model_prices
    where model = %(model)s and not is_own
) as listed
where
    ends_at > coalesce(%(start)s::timestamptz, '-infinity')
    and valid_from < coalesce(%(end)s::timestamptz, 'infinity')
order by valid_from
"""  # noqa: S608 (constants)

_OUTDATED_DISCOUNTS = f"""
with bounded as (
    select *, {ENDS_AT} as ends_at from ledger.model_prices
)
select model, discount, nullif(valid_from, '-infinity'), nullif(ends_at, 'infinity')
from bounded as own
where
    discount is not null
    and exists (
        select 1 from bounded as listed
        where
            listed.model = own.model
            and not listed.is_own
            and listed.valid_from < own.ends_at
            and listed.ends_at > own.valid_from
            and (
                listed.valid_from > own.valid_from
                or ({", ".join(f"own.{name}" for name in RATE_COLUMNS)}) is distinct from
                ({", ".join(f"listed.{name} * (1 - own.discount)" for name in RATE_COLUMNS)})
            )
    )
"""  # noqa: S608 (constants)


def say_price(
    connection: Connection,
    name: str,
    rates: Rates,
    start: datetime | None = None,
    end: datetime | None = None,
) -> str:
    """State what a model costs from `start` until before `end`; None is ever.

    What was stated before gives way for that time; a model that nobody knows becomes known.

    Returns:
        The model.

    Raises:
        InputError: a price is below zero or no number, the time is none, or the name is.
    """
    _check_time(start, end)
    for price in rates.values():
        if price is not None and not (_is_exact(price) and 0 <= price <= HIGHEST):
            raise InputError(
                f"{price} is no price: give US dollars per million tokens, from 0 to {HIGHEST:,}, "
                f"with at most {_DECIMALS} decimals."
            )
    model = introduce(connection, name, "operator")
    _say(connection, model, rates, start, end, "operator", None)
    return model


def say_discount(
    connection: Connection,
    name: str,
    percent: Decimal,
    start: datetime | None = None,
    end: datetime | None = None,
) -> str:
    """State that a model costs `percent` less than the list says, now and as the list changes.

    Returns:
        The model.

    Raises:
        InputError: the percentage is none, or the list has no price of the model in that time.
    """
    _check_time(start, end)
    if not (_is_exact(percent) and 0 < percent <= 100):
        raise InputError(
            f"{percent} is no discount: give a percentage above 0, up to 100, with at most "
            f"{_DECIMALS} decimals."
        )
    model = canonical(connection, name)
    if model is None or not _discount(connection, model, percent / 100, start, end):
        near = nearest(connection, name)
        hint = f"; did you mean {near}" if near and model is None else ""
        raise InputError(f"The list has no price of {name} for that time{hint}.")
    return model


def take_back(connection: Connection, name: str) -> str:
    """Forget all prices and discounts that were stated of a model: the list's stand again.

    Returns:
        The model.

    Raises:
        InputError: nothing was stated of it.
    """
    require_own(connection)
    model = canonical(connection, name) or name.strip()
    if not connection.execute(_TAKE_BACK, (model,)).rowcount:
        raise InputError(
            f"You have stated no price of {model}; `omniledger prices list --own --all` shows what "
            "you have."
        )
    return model


def follow_discounts(connection: Connection) -> None:
    """Let discounts follow prices of the list that were loaded since they were stated."""
    for model, share, start, end in connection.execute(_OUTDATED_DISCOUNTS.encode()).fetchall():
        _discount(connection, model, share, start, end)


def _discount(
    connection: Connection,
    model: str,
    share: Decimal,
    start: datetime | None,
    end: datetime | None,
) -> bool:
    window = {"model": model, "start": start, "end": end}
    stretches = connection.execute(_LIST_WITHIN.encode(), window).fetchall()
    for since, until, source, *rates in stretches:
        said = f"operator: {(share * 100).normalize():f} % off {source}"
        _say(connection, model, Rates(*rates).less(share), since, until, said, share)
    return bool(stretches)


def _say(
    connection: Connection,
    model: str,
    rates: Rates,
    start: datetime | None,
    end: datetime | None,
    source: str,
    discount: Decimal | None,
) -> None:
    require_own(connection)
    make_room(connection, model, start, end)
    connection.execute(_SAY.encode(), (model, start, end, source, discount, *rates.values()))


def _is_exact(number: Decimal) -> bool:
    """Whether it is a number, and is kept to its last digit."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_DECIMALS


def _check_time(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and start >= end:
        raise InputError("The price would end before it begins; let --to lie after --from.")
