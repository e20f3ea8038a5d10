"""Which model ran when, as the operator states it, for rows that don't say it."""

from __future__ import annotations

from datetime import datetime

from omniledger.analytics.link import require_own
from omniledger.database import Connection
from omniledger.errors import InputError
from omniledger.moments import since
from omniledger.pricing.names import bare_of_all, canonical

_SAY = """
insert into ledger.model_history (valid_from, model)
values (coalesce(%s::timestamptz, '-infinity'), %s)
on conflict (valid_from) do update set model = excluded.model
"""

_TAKE_BACK = """
delete from ledger.model_history where valid_from = coalesce(%s::timestamptz, '-infinity')
"""

_LIST = """
select nullif(valid_from, '-infinity'), model from ledger.model_history
order by model_history.valid_from
"""


def say_model(connection: Connection, name: str, start: datetime | None) -> tuple[str, bool]:
    """State that a model ran from `start` on, until the next that is stated; None is from ever.

    Returns:
        The model, and whether its name is known.

    Raises:
        InputError: the name is none.
    """
    require_own(connection)
    bare_of_all(connection, name)
    known = canonical(connection, name)
    model = known or name.strip()
    connection.execute(_SAY, (start, model))
    return model, known is not None


def take_back(connection: Connection, start: datetime | None) -> None:
    """Forget what was stated from `start` on: what was stated before it goes on.

    Raises:
        InputError: nothing was stated from then on.
    """
    require_own(connection)
    if not connection.execute(_TAKE_BACK, (start,)).rowcount:
        raise InputError(
            f"Nothing is stated from {since(start)} on; `omniledger models list` shows what is."
        )


def list_models(connection: Connection) -> list[tuple[datetime | None, str]]:
    """What is stated, in order of time."""
    return [(start, model) for start, model in connection.execute(_LIST)]
