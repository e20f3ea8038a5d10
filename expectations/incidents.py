"""What must be true of `fct_incidents` and of `fct_hourly_health`, beside `fct_daily_health`."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, all_known, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date

_INCIDENT = ("incident_key", "opened_date", "mcp_server_id")
_SECONDS = ("up_seconds", "down_seconds", "unknown_seconds", "disabled_seconds")
_HOUR = ("hourly_health_key", "health_date", "mcp_server_id", "hour_at")

_ENDS_BEFORE_IT_BEGINS = """
select incident_key, mcp_server_id, opened_at, closed_at, last_down_at, down_seconds
from batch
where
    (
        opened_at < last_down_at
        and down_seconds between 1 and extract(epoch from last_down_at - opened_at)
        and coalesce(closed_at, last_down_at) = last_down_at
        and (closed_at is null) = (ended_as is null)
    ) is not true
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
    days.down_seconds as down_seconds_of_days, told.down_seconds,
    days.checks as checks_of_days, told.checks,
    days.begun = told.begun as begin_as_the_days_say
from (
    select
        mcp_server_id,
        sum(incidents)::bigint as incidents,
        sum(down_seconds)::bigint as down_seconds,
        sum(told.checks)::bigint as checks,
        sum(told.begun)::bigint as begun
    from analytics_build.fct_daily_health
    cross join lateral (
        select
            sum((outage ->> 'checks')::bigint) as checks,
            sum((outage ->> 'start_epoch')::bigint)
            filter (where not (outage ->> 'is_continued')::boolean) as begun
        from jsonb_array_elements(outage_list) as outages (outage)
    ) as told
    group by mcp_server_id
    having sum(outages) > 0
) as days
full join (
    select
        mcp_server_id,
        count(*) as incidents,
        sum(down_seconds)::bigint as down_seconds,
        sum(checks)::bigint as checks,
        sum(extract(epoch from opened_at))::bigint as begun
    from batch
    group by mcp_server_id
) as told using (mcp_server_id)
where
    (days.incidents, days.down_seconds, days.checks, days.begun)
    is distinct from (told.incidents, told.down_seconds, told.checks, told.begun)
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

_CHECKS_APART = """
select
    hourly_health_key, hour_at, mcp_server_id, checks, checks_down,
    p50_response_ms, p95_response_ms, p99_response_ms
from batch
where
    checks_down not between 0 and checks
    or p50_response_ms < 0
    or p50_response_ms > p95_response_ms
    or p95_response_ms > p99_response_ms
"""

# The last day goes on between one mart and the next. A late event may come between them too: of a
# server that had one, or lost one, nothing is said.
_NOT_THE_DAY = """
select
    days.health_date, days.mcp_server_id,
    days.up_seconds, hours.up_seconds as up_seconds_of_hours,
    days.down_seconds, hours.down_seconds as down_seconds_of_hours,
    days.checks, hours.checks as checks_of_hours,
    hours.hours
from analytics_build.fct_daily_health as days
cross join (
    select min(health_date) as first_date, max(health_date) as last_date
    from batch
) as shown
left join (
    select
        health_date, mcp_server_id,
        sum(up_seconds) as up_seconds,
        sum(down_seconds) as down_seconds,
        sum(hour_seconds) as hour_seconds,
        sum(checks) as checks,
        count(*) as hours,
        min(built_xmin) as built_xmin
    from batch
    group by health_date, mcp_server_id
) as hours using (health_date, mcp_server_id)
where
    days.health_date >= shown.first_date
    and days.health_date < least(shown.last_date, {today})
    and (days.up_seconds, days.down_seconds, days.day_seconds, days.checks)
    is distinct from (hours.up_seconds, hours.down_seconds, hours.hour_seconds, hours.checks)
    and not exists (
        select 1
        from omni2.mcp_health_log as raw
        where
            raw.mcp_server_id = days.mcp_server_id
            and raw.change_xid >= least(days.built_xmin, hours.built_xmin)
            and raw.timestamp < {ends_at}
    )
    and not exists (
        select 1
        from ledger.deleted_days as departed
        where
            departed.source_table = 'mcp_health_log'
            and departed.change_xid >= least(days.built_xmin, hours.built_xmin)
    )
order by health_date, mcp_server_id
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the incidents and of the hours."""
    incidents = ExpectationSuite(
        name="incidents",
        expectations=[
            all_known((*_INCIDENT, "opened_at", "last_down_at", "built_xmin"), _INCIDENT),
            unique("incident_key"),
            no_rows("An incident ends after it begins", _ENDS_BEFORE_IT_BEGINS),
            no_rows("A server has one incident at a time", _OVERLAPPING),
            no_rows("Incidents are the outages of the days", _NOT_THE_DAYS),
        ],
    )
    hours = ExpectationSuite(
        name="hourly_health",
        expectations=[
            all_known((*_HOUR, *_SECONDS, "hour_seconds", "built_xmin"), _HOUR),
            unique("hourly_health_key"),
            no_rows("Up, down, unknown and disabled make up the hour", _SECONDS_DO_NOT_ADD_UP),
            no_rows("Checks and response times are in order", _CHECKS_APART),
            no_rows(
                "Hours make up the day",
                _NOT_THE_DAY.format(
                    today=literal(scope.today), ends_at=scope.starts_at("days.health_date + 1")
                ),
            ),
            *up_to_date(scope, "fct_hourly_health", "health_date", "omni2.mcp_health_log"),
        ],
    )
    return (
        Judged(incidents, mart="fct_incidents", key=_INCIDENT),
        Judged(hours, mart="fct_hourly_health", key=_HOUR),
    )
