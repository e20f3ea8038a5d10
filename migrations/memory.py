"""What one step of an upgrade notes in `ledger.settings`, for a later one and for the way back."""

from __future__ import annotations

import json
from typing import Any

from omniledger.catalog import is_there
from omniledger.database import Connection, as_json

_NOTED = "select value from ledger.settings where name = %s"

_NOTE = """
    insert into ledger.settings (name, value) values (%s, %s)
    on conflict (name) do update
    set value = (ledger.settings.value::jsonb || excluded.value::jsonb)::text
"""

_REPLACE = """
    insert into ledger.settings (name, value) values (%s, %s)
    on conflict (name) do update set value = excluded.value
"""

_FORGET = "update ledger.settings set value = (value::jsonb - %s)::text where name = %s"


def remembered(connection: Connection, what: str) -> set[str]:
    """The names that were noted of one kind, also by a revision that notes a list of them.

    None before there are any settings.
    """
    return set(_value(connection, what) or ()) if is_there(connection, "ledger.settings") else set()


def noted(connection: Connection, what: str) -> dict[str, Any]:
    """Each name that was noted of one kind, with its value."""
    return dict(_value(connection, what) or {})


def _value(connection: Connection, what: str) -> Any:
    row = connection.execute(_NOTED, (what,)).fetchone()
    return json.loads(row[0]) if row else None


def note(connection: Connection, what: str, name: str, value: Any) -> None:
    """Note one name; what was noted of it before is replaced."""
    connection.execute(_NOTE, (what, as_json({name: value})))


def replace(connection: Connection, what: str, names: dict[str, Any]) -> None:
    """Note all names of one kind; what was noted of it before is forgotten."""
    connection.execute(_REPLACE, (what, as_json(names)))


def remember(connection: Connection, what: str, names: set[str]) -> None:
    """Note names of one kind as a list, before what they name is made; `remembered` knows them."""
    earlier = set(_value(connection, what) or ())
    connection.execute(_REPLACE, (what, json.dumps(sorted(earlier | names))))


def forget(connection: Connection, what: str, name: str) -> None:
    """Forget one name."""
    connection.execute(_FORGET, (name, what))
