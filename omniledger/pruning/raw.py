"""The raw tables, and which of their rows may go: those that published figures hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg import sql

from omniledger.database import Connection
from omniledger.inspection import clock
from omniledger.settings import Settings

# Days that marts know begin here; a row without such a time is in no figure. One with a transaction
# that is yet to come was restored from another cluster, before anything was built in this one.
_MAY_GO = """
    raw.timestamp >= {since}
    and raw.timestamp < %(before_at)s
    and (
        select
            coalesce(raw.change_xid, 0) < frozen.built_xmin
            or (
                frozen.built_xmin > 0
                and raw.change_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
            )
        from ledger.prunings as frozen
        where raw.timestamp < frozen.before_at
        order by frozen.before_at
        limit 1
    )
    and {held}
    and {unreferenced}
"""

_REFERENCES = """
    select
        k.conrelid::regclass::text,
        array(select a.attname::text from unnest(k.conkey) with ordinality as c (attnum, place)
            inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.attnum
            order by c.place),
        array(select a.attname::text from unnest(k.confkey) with ordinality as c (attnum, place)
            inner join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = c.attnum
            order by c.place)
    from pg_constraint as k
    where k.contype = 'f' and k.confrelid = to_regclass(%s) and k.conparentid = 0
    order by 1, 2
"""

_DAYS = """
    select distinct (raw.timestamp at time zone %(timezone)s)::date
    from {table} as raw
    where {may_go}
    order by 1
"""

_COUNT = """
    select count(*), coalesce(sum(pg_column_size(raw.*)), 0)::bigint
    from {table} as raw
    where {may_go}
"""

_OLDER = "select count(*) from {table} where timestamp < %(before_at)s"


@dataclass(frozen=True)
class RawTable:
    """A table of raw rows.

    Attributes:
        name: in the schema `omni2`.
        counter: the column of `ledger.prunings` that counts its removed rows.
        since: the time from which the marts take its rows.
        held: the SQL of what else must be true of a row that may go.
        stays_because: what people are told of older rows that may not.
    """

    name: str
    counter: str
    since: str
    held: str
    stays_because: str

    @property
    def identifier(self) -> sql.Identifier:
        """Its quoted name."""
        return sql.Identifier("omni2", self.name)

    def may_go(self, connection: Connection) -> sql.Composed:
        """The SQL of which rows `raw` may go; its parameter `before_at` is a moment.

        Those written after the figures of their day were frozen stay, for no figure holds them;
        so do those that another table references, or its rows would be refused or taken along.
        """
        return sql.SQL(_MAY_GO).format(
            since=sql.Literal(self.since),
            held=sql.SQL(self.held),
            unreferenced=sql.SQL(" and ").join([sql.SQL("true"), *self._unreferenced(connection)]),
        )

    def _unreferenced(self, connection: Connection) -> Iterator[sql.Composed]:
        found = connection.execute(_REFERENCES, [f"omni2.{self.name}"]).fetchall()
        for table, columns, referenced in found:
            pairs = sql.SQL(" and ").join(
                sql.SQL("other.{} = raw.{}").format(sql.Identifier(c), sql.Identifier(r))
                for c, r in zip(columns, referenced, strict=True)
            )
            yield sql.SQL("not exists (select from {} as other where {})").format(
                sql.SQL(table), pairs
            )


# A server's last events stay: its state and the rhythm of its checks are read from them.
_EVENTS_HELD = """
    exists (
        select from ledger.pruned_servers as servers
        where
            servers.mcp_server_id = raw.mcp_server_id
            and raw.timestamp < servers.pruned_until
    )
"""

AUDIT = RawTable(
    "audit_logs",
    "audit_rows",
    "0001-01-03 00:00+00",
    "true",
    "no published figure holds them, or another table refers to them",
)
HEALTH = RawTable(
    "mcp_health_log",
    "health_rows",
    "2000-01-01 00:00+00",
    _EVENTS_HELD,
    "the state and the rhythm of their server are read from them",
)
TABLES = (AUDIT, HEALTH)


def days(connection: Connection, table: RawTable, before_at: datetime, timezone: str) -> list[date]:
    """The reporting days of the rows that may go, in order."""
    query = sql.SQL(_DAYS).format(table=table.identifier, may_go=table.may_go(connection))
    values = {"before_at": before_at, "timezone": timezone}
    return [day for (day,) in connection.execute(query, values)]


def count(connection: Connection, table: RawTable, before_at: datetime) -> tuple[int, int]:
    """How many rows may go, and their bytes in the table, without its indexes."""
    query = sql.SQL(_COUNT).format(table=table.identifier, may_go=table.may_go(connection))
    [(rows, size)] = connection.execute(query, {"before_at": before_at}).fetchall()
    return rows, size


def older(connection: Connection, table: RawTable, before_at: datetime) -> int:
    """How many rows are older, whether they may go or not."""
    query = sql.SQL(_OLDER).format(table=table.identifier)
    [(rows,)] = connection.execute(query, {"before_at": before_at}).fetchall()
    return int(rows)


def first_kept(connection: Connection, settings: Settings, keep_days: int) -> date:
    """The first day that stays where `keep_days` whole days before today do."""
    zone = ZoneInfo(settings.reporting_timezone)
    return clock.now(connection).astimezone(zone).date() - timedelta(days=keep_days)


def starts_at(day: date, timezone: str) -> datetime:
    """The first moment of a reporting day; where midnight comes twice, the first of them."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC)


def ends_at(day: date, timezone: str) -> datetime:
    """The first moment of the day after."""
    return starts_at(day + timedelta(days=1), timezone)


def first_day_from(moment: datetime, timezone: str) -> date:
    """The first reporting day that begins at a moment or later."""
    day = moment.astimezone(ZoneInfo(timezone)).date()
    return day if starts_at(day, timezone) >= moment else day + timedelta(days=1)
