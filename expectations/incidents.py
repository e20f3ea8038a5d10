"""What must be true of `fct_incidents` and of `fct_hourly_health`, beside `fct_daily_health`."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.hours_told import health_untouched, hours_as_told
from expectations.rules import Judged, all_known, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date
from omniledger.settings import get_settings

_INCIDENT = ("incident_key", "opened_date", "mcp_server_id")
_SECONDS = ("up_seconds", "down_seconds", "unknown_seconds", "disabled_seconds")
_HOUR = ("hourly_health_key", "health_date", "mcp_server_id", "hour_at")

_ENDS_BEFORE_IT_BEGINS = """
select
    incident_key, mcp_server_id, opened_date, opened_at, closed_at, last_down_at, ended_as,
    down_seconds
from batch
where
    (
        opened_at < last_down_at
        and down_seconds between 1 and extract(epoch from last_down_at - opened_at)
        and coalesce(closed_at, last_down_at) = last_down_at
        and (closed_at is null) = (ended_as is null)
        and coalesce(ended_as in ('up', 'unknown', 'disabled'), true)
        and (opened_date = {date_of} or not {is_kept})
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

# Both are made of the same outages: a join that doubles or loses one can't hide. What goes on over
# midnight is one incident, and one of which the last day doesn't say what came is open.
_NOT_THE_DAYS = """
with outages as (
    select
        mcp_server_id, health_date, down.start_epoch, down.is_continued,
        down.checks, down.next_state, down.start_epoch + down.seconds as end_epoch,
        lead(down.is_continued) over (
            partition by mcp_server_id order by down.start_epoch
        ) as goes_on
    from analytics_build.fct_daily_health
    cross join lateral jsonb_to_recordset(outage_list) as down (
        start_epoch bigint, seconds bigint, is_continued boolean, checks bigint, next_state text
    )
),

told_by_outages as (
    select
        outages.mcp_server_id,
        sum(outages.checks)::bigint as checks,
        sum(outages.start_epoch) filter (where not outages.is_continued)::bigint as begun,
        sum(outages.end_epoch) filter (where outages.goes_on is not true)::bigint as ended,
        bool_or(outages.next_state is null and outages.health_date = ends.last_date) as is_open
    from outages
    inner join (
        select mcp_server_id, max(health_date) as last_date
        from analytics_build.fct_daily_health
        group by mcp_server_id
    ) as ends using (mcp_server_id)
    group by outages.mcp_server_id
),

days as (
    select
        mcp_server_id,
        sum(incidents)::bigint as incidents,
        sum(down_seconds)::bigint as down_seconds
    from analytics_build.fct_daily_health
    group by mcp_server_id
    having sum(outages) > 0
),

told as (
    select
        mcp_server_id,
        count(*) as incidents,
        sum(down_seconds)::bigint as down_seconds,
        sum(checks)::bigint as checks,
        sum(extract(epoch from opened_at))::bigint as begun,
        sum(extract(epoch from last_down_at))::bigint as ended,
        bool_or(closed_at is null) as is_open
    from batch
    group by mcp_server_id
)

select
    mcp_server_id, days.incidents as incidents_of_days, told.incidents,
    days.down_seconds as down_seconds_of_days, told.down_seconds,
    of_days.checks as checks_of_days, told.checks,
    of_days.begun = told.begun as begin_as_the_days_say,
    of_days.ended = told.ended as end_as_the_days_say,
    of_days.is_open as open_in_days, told.is_open
from days
left join told_by_outages as of_days using (mcp_server_id)
full join told using (mcp_server_id)
where
    (
        days.incidents, days.down_seconds,
        of_days.checks, of_days.begun, of_days.ended, of_days.is_open
    )
    is distinct from (
        told.incidents, told.down_seconds, told.checks, told.begun, told.ended, told.is_open
    )
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
    or p99_response_ms > 3600000
    or num_nulls(p50_response_ms, p95_response_ms, p99_response_ms) not in (0, 3)
    or (checks = 0 and p50_response_ms is not null)
"""

# The last hour of a day that goes on is as long as it has been.
_HOURS_APART = """
select
    health_date, mcp_server_id, min(hour_at) as first_hour_at, max(hour_at) as last_hour_at,
    count(*) as hours, sum(hour_seconds) as hour_seconds, max(day_seconds) as day_seconds
from batch
group by health_date, mcp_server_id
having
    min(hour_at) <> {starts_at}
    or sum(hour_seconds) <> max(day_seconds)
    or count(distinct hour_at) <> count(*)
    or max(hour_at) <> min(hour_at) + (count(*) - 1) * interval '1 hour'
    or count(*) filter (where hour_seconds < 3600) > 1
order by health_date, mcp_server_id
"""

# An outage is dealt out to the hours that it touches; each hour is known by its beginning, so that
# seconds in another hour make another sum of beginnings. The last day goes on between one mart and
# the next. A late event may come between them too: of a server that had one, or lost one, nothing
# is said.
_NOT_THE_DAY = """
select
    days.health_date, days.mcp_server_id,
    days.up_seconds, hours.up_seconds as up_seconds_of_hours,
    days.down_seconds, hours.down_seconds as down_seconds_of_hours,
    days.unknown_seconds, hours.unknown_seconds as unknown_seconds_of_hours,
    days.checks, hours.checks as checks_of_hours,
    days.checks_down, hours.checks_down as checks_down_of_hours,
    outages.moments_down is not distinct from hours.moments_down as down_in_the_same_hours,
    hours.hours
from analytics_build.fct_daily_health as days
cross join (
    select
        min(health_date) as first_date,
        coalesce(max(health_date), '-infinity') as last_date,
        (select max(health_date) from analytics_build.fct_daily_health) as newest_date
    from batch
) as shown
left join (
    select
        health_date, mcp_server_id,
        sum(up_seconds) as up_seconds,
        sum(down_seconds) as down_seconds,
        sum(unknown_seconds) as unknown_seconds,
        sum(hour_seconds) as hour_seconds,
        sum(checks) as checks,
        sum(checks_down) as checks_down,
        sum(down_seconds * extract(epoch from hour_at)::numeric) as moments_down,
        count(*) as hours,
        min(built_xmin) as built_xmin
    from batch
    group by health_date, mcp_server_id
) as hours using (health_date, mcp_server_id)
cross join lateral (
    select
        coalesce(
            sum(
                (
                    least(down.start_epoch + down.seconds, hour.epoch + 3600)
                    - greatest(down.start_epoch, hour.epoch)
                ) * hour.epoch::numeric
            ),
            0
        ) as moments_down
    from jsonb_to_recordset(days.outage_list) as down (start_epoch bigint, seconds bigint)
    cross join lateral generate_series(
        down.start_epoch - mod(down.start_epoch - extract(epoch from {starts_at})::bigint, 3600),
        down.start_epoch + down.seconds - 1,
        3600
    ) as hour (epoch)
) as outages
where
    (
        days.health_date >= shown.first_date
        or (days.health_date > {today}::date - {hourly_days} and {is_kept})
    )
    and days.health_date < least(shown.newest_date, {today})
    and (days.health_date < shown.last_date or days.health_date < shown.newest_date - 1)
    and (
        days.up_seconds, days.down_seconds, days.unknown_seconds, days.day_seconds,
        days.checks, days.checks_down, outages.moments_down
    )
    is distinct from
    (
        hours.up_seconds, hours.down_seconds, hours.unknown_seconds, hours.hour_seconds,
        hours.checks, hours.checks_down, hours.moments_down
    )
    and {untouched}
order by health_date, mcp_server_id
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the incidents and of the hours."""
    incidents = ExpectationSuite(
        name="incidents",
        expectations=[
            all_known((*_INCIDENT, "opened_at", "last_down_at", "built_xmin"), _INCIDENT),
            unique("incident_key"),
            no_rows(
                "An incident ends after it begins",
                _ENDS_BEFORE_IT_BEGINS.format(
                    date_of=scope.date_of("opened_at"), is_kept=scope.is_kept("opened_date")
                ),
            ),
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
                    today=literal(scope.today),
                    hourly_days=get_settings().health_hourly_days,
                    is_kept=scope.is_kept("days.health_date"),
                    starts_at=scope.starts_at("days.health_date"),
                    untouched=health_untouched(
                        scope, "days", "least(days.built_xmin, hours.built_xmin)"
                    ),
                ),
            ),
            hours_as_told(scope),
            no_rows(
                "Hours follow one another from the day's beginning",
                _HOURS_APART.format(starts_at=scope.starts_at("health_date")),
            ),
            *up_to_date(scope, "fct_hourly_health", "health_date", "omni2.mcp_health_log"),
        ],
    )
    return (
        Judged(incidents, mart="fct_incidents", key=_INCIDENT),
        Judged(hours, mart="fct_hourly_health", key=_HOUR),
    )
