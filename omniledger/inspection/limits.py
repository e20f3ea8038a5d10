"""Who has used up the day: by the ledger's own definition, or before there is one, by the roles."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from omniledger.database import Connection
from omniledger.report.formats import usd

# Only users with a row of today are asked about, each by the index of the quota check.
_OVER = """
with clock as (
    select
        coalesce(max(s.value) filter (where s.name = 'reporting_timezone'), 'UTC') as zone,
        coalesce(max(s.value) filter (where s.name = 'as_of')::timestamptz, now()) as at
    from ledger.settings as s
),

today as (select (at at time zone zone)::date as day, zone from clock),

seen as (
    select distinct a.user_id
    from omni2.audit_logs as a
    where
        a.timestamp >= (select ledger.day_starts_at(day, zone) from today)
        and a.timestamp < (select ledger.day_starts_at(day + 1, zone) from today)
        and a.user_id is not null
        and a.success
)

select seen.user_id, u.email, today.day, said.cost_used, said.cost_limit
from seen
cross join today
cross join lateral ledger.check_usage_limit(seen.user_id, null::numeric) as said
left join auth_service.users as u on seen.user_id = u.id
where said.exceeded
order by said.cost_used - said.cost_limit desc, seen.user_id
limit %(most)s
"""

_WAS_OVER = """
select q.user_id, u.email, q.usage_date, q.cost_used_usd, q.cost_limit_usd
from analytics.fct_daily_quota as q
left join auth_service.users as u on q.user_id = u.id
where q.usage_date = %(day)s and q.is_exceeded
order by q.overspend_usd desc, q.user_id
limit %(most)s
"""

MOST = 1000
"""How many users are told of at most."""


class Over(NamedTuple):
    """A user who has used up the day's limit; costs in US dollars."""

    user_id: int
    email: str | None
    day: date
    cost_used: Decimal
    cost_limit: Decimal

    @property
    def who(self) -> str:
        """The e-mail, or the number where there is none."""
        return self.email or f"user {self.user_id}"

    @property
    def used(self) -> str:
        """How much of how much, to the last digit."""
        return f"{usd(self.cost_used)} of {usd(self.cost_limit)}"

    def __str__(self) -> str:
        return f"{self.who} ({self.used})"


def over_today(connection: Connection) -> list[Over]:
    """Everybody whom `ledger.check_usage_limit` stops now, the furthest over first."""
    return [Over(*row) for row in connection.execute(_OVER.encode(), {"most": MOST})]


def over_on(connection: Connection, day: date) -> list[Over]:
    """Everybody who had used up a day that is over, by its published figures."""
    values = {"day": day, "most": MOST}
    return [Over(*row) for row in connection.execute(_WAS_OVER.encode(), values)]
