"""What must be true of `fct_incidents` and of `fct_hourly_health`, beside `fct_daily_health`."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, no_rows, unique
from expectations.scope import Scope, literal

_ENDS_BEFORE_IT_BEGINS = """
select incident_key, mcp_server_id, opened_at, closed_at, last_down_at, down_seconds
from batch
where
    not (
        opened_at < last_down_at
        and down_seconds between 1 and extract(epoch from last_down_at - opened_at)
        and coalesce(closed_at, last_down_at) = last_down_at
        and (closed_at is null) = (ended_as is null)
    )
"""

_OVERLAPPING = """
select incident_key, mcp_server_id, opened_at, last_down_at, next_opened_at
from (
    select
        incident_key, mcp_server_id, opened_at, closed_at, last_down_at,
        lead(opened_at) over (partition by mcp_server_id order by opened_at) as next_opened_at
    from batch
) as incidents
where next_opened_at < last_down_at or (next_opened_at is not null and closed_at is null)
"""

# Both are made of the same outages: a join that doubles or loses one can't hide.
_NOT_THE_DAYS = """
select
    mcp_server_id, days.incidents as incidents_of_days, told.incidents,
    days.down_seconds as down_seconds_of_days, told.down_seconds
from (
    select
        mcp_server_id,
        sum(incidents)::bigint as incidents,
        sum(down_seconds)::bigint as down_seconds
    from analytics_build.fct_daily_health
    group by mcp_server_id
    having sum(outages) > 0
) as days
full join (
    select mcp_server_id, count(*) as incidents, sum(down_seconds)::bigint as down_seconds
    from batch
    group by mcp_server_id
) as told using (mcp_server_id)
where (days.incidents, days.down_seconds) is distinct from (told.incidents, told.down_seconds)
"""

_SECONDS_DO_NOT_ADD_UP = """
select
    hourly_health_key, hour_at, mcp_server_id,
    hour_seconds, up_seconds, down_seconds, unknown_seconds, disabled_seconds
from batch
where
    hour_seconds <> up_seconds + down_seconds + unknown_seconds + disabled_seconds
    or least(up_seconds, down_seconds, unknown_seconds, disabled_seconds) < 0
    or hour_seconds not between 1 and 3600
"""

# Today goes on between one mart and the next, and a late event may come between them.
_NOT_THE_DAY = """
select
    health_date, mcp_server_id, days.up_seconds, hours.up_seconds as up_seconds_of_hours,
    days.down_seconds, hours.down_seconds as down_seconds_of_hours
from (
    select
        health_date, mcp_server_id,
        sum(up_seconds) as up_seconds,
        sum(down_seconds) as down_seconds
    from batch
    where health_date < {today}
    group by health_date, mcp_server_id
) as hours
inner join analytics_build.fct_daily_health as days using (health_date, mcp_server_id)
where (days.up_seconds, days.down_seconds) <> (hours.up_seconds, hours.down_seconds)
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the incidents and of the hours."""
    incidents = ExpectationSuite(
        name="incidents",
        expectations=[
            unique("incident_key"),
            no_rows("An incident ends after it begins", _ENDS_BEFORE_IT_BEGINS),
            no_rows("A server has one incident at a time", _OVERLAPPING),
            no_rows("Incidents are the outages of the days", _NOT_THE_DAYS),
        ],
    )
    hours = ExpectationSuite(
        name="hourly_health",
        expectations=[
            unique("hourly_health_key"),
            no_rows("Up, down, unknown and disabled make up the hour", _SECONDS_DO_NOT_ADD_UP),
            no_rows(
                "Hours make up the day",
                _NOT_THE_DAY.format(today=literal(scope.today)),
                severity="warn",
            ),
        ],
    )
    return (
        Judged(incidents, mart="fct_incidents", key=("incident_key",)),
        Judged(hours, mart="fct_hourly_health", key=("hourly_health_key",)),
    )
