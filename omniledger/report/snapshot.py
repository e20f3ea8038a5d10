"""One read-only snapshot of the published figures, from which every section reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from omniledger.report.formats import holds_address, visible

Row = Mapping[str, Any]

_RELATIONS = """
select n.nspname || '.' || c.relname as name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname in ('analytics', 'ledger') and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# What the published figures are of goes before what the last run was told.
_SETTINGS = """
select regexp_replace(name, '^published_', '') as name, value
from ledger.settings
where
    name in (
        'reporting_timezone', 'published_reporting_timezone',
        'default_model', 'published_default_model',
        'as_of', 'demo_note'
    )
order by starts_with(name, 'published_')
"""

_USERS, _SERVERS = "analytics.dim_users", "analytics.dim_mcp_servers"


def _apart(dimension: str, key: str, name: str, *others: str) -> str:
    """A dimension with its key behind a name that several members have; a blank name is none.

    `called` is the name alone, by which the log knows its members.
    """
    return f"""
    (
        select
            {", ".join((key, *others))},
            {name} as called,
            case
                when btrim({name}) = '' then null
                when count(*) over (partition by {name}) = 1 then {name}
                else {name} || ' (' || {key} || ')'
            end as {name}
        from {dimension}
    )
    """  # noqa: S608 (constants)


_USERS_APART = _apart(_USERS, "user_id", "display_name", "email")
_SERVERS_APART = _apart(
    _SERVERS, "mcp_server_id", "mcp_server_name", "last_event_at", "checks_verdict"
)

_STAND_INS = {
    _USERS: ("(select null::integer as user_id, null::text as display_name, null::text as email)"),
    _SERVERS: (
        "(select null::integer as mcp_server_id, null::text as mcp_server_name,"
        " null::text as called, null::timestamptz as last_event_at, null::text as checks_verdict)"
    ),
}
"""Dimensions without a row, for when a fact is published and its dimension isn't."""


class Snapshot:
    """Queries of one transaction, each answered with no rows where its relation is missing."""

    def __init__(self, connection: psycopg.Connection[Any], *, show_emails: bool = False) -> None:
        self._cursor = connection.cursor(row_factory=dict_row)
        self._relations = {row["name"] for row in self._cursor.execute(_RELATIONS)}
        self._show_emails = show_emails
        self.read_at: datetime = self._cursor.execute("select now()").fetchall()[0]["now"]
        self.settings: dict[str, str] = {
            row["name"]: row["value"] for row in self.rows("ledger.settings", _SETTINGS)
        }

    def rows(self, relation: str, query: str, **values: object) -> list[Row]:
        """The rows of a query over `relation`; `{users}` and `{servers}` in it are dimensions."""
        if relation not in self._relations:
            return []
        for name, dimension, as_read in (
            ("{users}", _USERS, _USERS_APART),
            ("{servers}", _SERVERS, _SERVERS_APART),
        ):
            there = dimension in self._relations
            query = query.replace(name, as_read if there else _STAND_INS[dimension])
        return list(self._cursor.execute(query.encode(), values))

    def catalog(self, query: str) -> list[Row]:
        """The rows of a query over PostgreSQL's own catalog, which is always there."""
        return list(self._cursor.execute(query.encode()))

    @property
    def as_of(self) -> datetime | None:
        """The time at which a demo's clock stands; a setting nobody can read stops no report."""
        try:
            at = datetime.fromisoformat(self.settings.get("as_of") or "")
        except ValueError:
            return None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at

    @property
    def today(self) -> date:
        """The day of the reporting time zone that it is now."""
        return self.day_of(self.as_of or self.read_at)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone whose days the figures are of; UTC where the setting is none."""
        try:
            return ZoneInfo(self.settings.get("reporting_timezone") or "UTC")
        except (ValueError, KeyError, OSError):
            return ZoneInfo("UTC")

    def day_of(self, at: datetime) -> date:
        """The day of the reporting time zone in which a moment is."""
        return at.astimezone(self.zone).date()

    def person(self, row: Row) -> tuple[str, str]:
        """Name and detail of the user in `row`; an e-mail address only where it may be shown."""
        name, email = visible(row["display_name"] or ""), visible(row["email"] or "")
        unnamed = "unknown user" if row["user_id"] is None else f"user {row['user_id']}"
        if self._show_emails:
            return name or email or unnamed, email if name and name != email else ""
        # Where no name is set, the mart's is the address.
        return (unnamed if not name or holds_address(name) else name), ""


def server_name(row: Row) -> str:
    """The name of the server in `row`, or its number once it was deleted."""
    return visible(row["mcp_server_name"] or f"server {row['mcp_server_id']}")
