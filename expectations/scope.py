"""Which moment and which days a judgement is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from psycopg import sql

from omniledger.catalog import is_there
from omniledger.database import Connection
from omniledger.errors import SettingsError
from omniledger.marts import MARTS, PUBLISHED, columns_in, query
from omniledger.runs import Began

# A gateway's clock may run a little ahead of the database's; midnight must not stop a run.
_TODAY = """
select
    (
        coalesce(
            (select value::timestamptz from ledger.settings where name = 'as_of'),
            now() + interval '5 minutes'
        ) at time zone %(timezone)s
    )::date
"""

_BOUNDS = r"select name, value from ledger.settings where name like 'gate\_%'"

# Where clocks go back over midnight, 00:00 comes twice and PostgreSQL takes the second.
_STARTS_AT = """(
    case
        when
            ((({day})::timestamp at time zone {zone}) - interval '1 hour') at time zone {zone}
            >= ({day})::timestamp
            then (({day})::timestamp at time zone {zone}) - interval '1 hour'
        else ({day})::timestamp at time zone {zone}
    end
)"""


_KEPT = """
{starts_at} >= coalesce((select max(before_at) from ledger.prunings), '-infinity')
"""

# Marts are built in snapshots of their own: what was written between two of them is in one only.
_UNTOUCHED = """
not exists (
    select 1
    from omni2.audit_logs as raw
    where
        raw.timestamp >= {starts_at}
        and raw.timestamp < {ends_at}
        and raw.change_xid >= {since}
)
and not exists (
    select 1
    from ledger.deleted_days as departed
    where departed.source_table = 'audit_logs' and departed.change_xid >= {since}
)
"""


@dataclass(frozen=True)
class Scope:
    """The reporting time zone, its today, and the days that are to be published.

    `days` are those of usage, `hourly_days` those of the health by hour.
    `began` is when the run began, where it is a run; `published_xmin` the greatest `built_xmin` of
    each mart that is published; `has_users` whether the gateway has its table of users; `bounds`
    the operator's own bounds of warnings, out of `ledger.settings`.
    """

    timezone: str
    today: date
    days: tuple[date, ...]
    hourly_days: tuple[date, ...] = ()
    began: Began | None = None
    published_xmin: Mapping[str, int] = field(default_factory=dict)
    has_users: bool = False
    bounds: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        connection: Connection,
        timezone: str,
        days: Iterable[date],
        began: Began | None = None,
        hourly_days: Iterable[date] = (),
    ) -> Scope:
        """Ask the database what day it is; in a sample database its clock stands still."""
        [(today,)] = connection.execute(_TODAY, {"timezone": timezone}).fetchall()
        return cls(
            timezone=timezone,
            today=today,
            days=tuple(sorted(set(days))),
            hourly_days=tuple(sorted(set(hourly_days))),
            began=began,
            published_xmin=_published(connection),
            has_users=is_there(connection, "auth_service.users"),
            bounds=dict(connection.execute(_BOUNDS).fetchall()),
        )

    def number(self, name: str, default: str) -> Decimal:
        """A bound, as `ledger.settings` says it, else the default.

        Raises:
            SettingsError: what it says there is no number from zero up.
        """
        text = self.bounds.get(name, default)
        try:
            number = Decimal(text.strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if not (number.is_finite() and number >= 0):
            raise SettingsError(
                f"{name} in ledger.settings is {text!r}; make it a number from zero up, like "
                f"{default}, or delete it."
            )
        return number

    @property
    def zone(self) -> str:
        """The time zone as an SQL literal, fit for a query that GX formats."""
        return literal(self.timezone)

    def starts_at(self, day: str) -> str:
        """The SQL of the moment at which the day that the SQL `day` gives begins."""
        return _STARTS_AT.format(day=day, zone=self.zone)

    def date_of(self, moment: str) -> str:
        """The SQL of the day to which the SQL `moment` belongs."""
        return f"({moment} at time zone {self.zone})::date"

    def is_kept(self, day: str) -> str:
        """The SQL that the raw rows of the day that the SQL `day` gives were not removed."""
        return _KEPT.format(starts_at=self.starts_at(day))

    def untouched(self, day: str, since: str) -> str:
        """The SQL that no audit row of the day came, changed or left since a transaction.

        Both are given in SQL. It reads the raw rows, so it is asked last.
        """
        return _UNTOUCHED.format(
            starts_at=self.starts_at(day), ends_at=self.starts_at(f"{day} + 1"), since=since
        )

    def ranges(self) -> list[tuple[date, date]]:
        """The days to be published as first and last day of each stretch without a gap."""
        stretches: list[tuple[date, date]] = []
        for day in self.days:
            if stretches and day == stretches[-1][1] + timedelta(days=1):
                stretches[-1] = (stretches[-1][0], day)
            else:
                stretches.append((day, day))
        return stretches

    def range_rows(self) -> str:
        """The SQL of those stretches as moments: rows of (from, until), none where no day is."""
        rows = ", ".join(
            f"({self.starts_at(literal(a))}, {self.starts_at(f'{literal(b)} + 1')})"
            for a, b in self.ranges()
        )
        return f"values {rows}" if rows else "select now(), now() where false"


def _published(connection: Connection) -> dict[str, int]:
    """The greatest `built_xmin` of each mart that is published and has rows."""
    found: dict[str, int] = {}
    for mart in MARTS:
        if "built_xmin" in columns_in(connection, PUBLISHED, mart):
            newest = query("select max(built_xmin) from {published}", mart)
            [(xmin,)] = connection.execute(newest).fetchall()
            if xmin is not None:
                found[mart.name] = xmin
    return found


def literal(value: object) -> str:
    """`value` as an SQL literal, its braces doubled because GX formats every query."""
    return sql.Literal(value).as_string(None).replace("{", "{{").replace("}", "}}")
