"""Why a model costs what it costs at one moment, as a person asks for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from omniledger.database import Connection
from omniledger.pricing.names import canonical, nearest
from omniledger.pricing.rates import RATE_COLUMNS
from omniledger.pricing.stretches import ENDS_AT

_PRICES = f"""
select
    is_own,
    nullif(valid_from, '-infinity') as valid_from,
    nullif(ends_at, 'infinity') as valid_to,
    {", ".join(RATE_COLUMNS)},
    source,
    valid_from <= %(at)s and ends_at > %(at)s as is_in_force
from (
    select
        *,
        {ENDS_AT} as ends_at
    from ledger.model_prices
    where model = %(model)s
) as bounded
where valid_from < ends_at
order by is_own desc, bounded.valid_from
"""  # noqa: S608 (constants)

_EVERY = f"""
select
    model, is_own,
    nullif(valid_from, '-infinity') as valid_from,
    nullif(ends_at, 'infinity') as valid_to,
    {", ".join(RATE_COLUMNS)},
    source
from (
    select
        *,
        {ENDS_AT} as ends_at
    from ledger.model_prices
) as bounded
where valid_from < ends_at and (not %(own)s or is_own) and (%(ended)s or ends_at > now())
order by model, is_own desc, bounded.valid_from
"""  # noqa: S608 (constants)


@dataclass(frozen=True)
class Explained:
    """What a name means at a moment: its model, the price in force, and every other one."""

    name: str
    at: datetime
    model: str | None
    nearest: str | None
    in_force: dict[str, Any] | None
    prices: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


def explain(connection: Connection, name: str, at: datetime) -> Explained:
    """Say what a million tokens of the model that `name` means cost at `at`, and why."""
    model = canonical(connection, name)
    prices = _rows(connection, _PRICES, {"model": model or name.strip(), "at": at})
    in_force = next((price for price in prices if price["is_in_force"]), None)
    near = nearest(connection, name) if model is None and not prices else None
    known = model or (name.strip() if prices else None)
    return Explained(name, at, known, near, in_force, prices)


def list_prices(
    connection: Connection, *, own: bool = False, ended: bool = False
) -> tuple[dict[str, Any], ...]:
    """The prices of every model; `own` leaves out the list's, `ended` adds those of the past."""
    return _rows(connection, _EVERY, {"own": own, "ended": ended})


def _rows(connection: Connection, query: str, values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    cursor = connection.execute(query.encode(), values)
    names = [column.name for column in cursor.description or ()]
    return tuple(dict(zip(names, row, strict=True)) for row in cursor)
