"""The hours of health a second time, from the timeline of the days to be published."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.rules import no_rows
from expectations.scope import Scope, literal

_UNTOUCHED = """
not exists (
    select 1
    from omni2.mcp_health_log as raw
    where
        raw.mcp_server_id = {days}.mcp_server_id
        and raw.change_xid >= {since}
        and raw.timestamp < {ends_at}
)
and not exists (
    select 1
    from ledger.deleted_days as departed
    where departed.source_table = 'mcp_health_log' and departed.change_xid >= {since}
)
"""

# The last day goes on between the build and this.
_OTHERWISE_TOLD = """
with told as (
    select
        intervals.health_date, intervals.mcp_server_id, to_timestamp(hour.epoch) as hour_at,
        intervals.server_state,
        sum(
            least(ends.ended, hour.epoch + 3600) - greatest(ends.started, hour.epoch)
        ) as seconds
    from analytics_build.int_health_intervals as intervals
    cross join lateral (
        select
            extract(epoch from {starts_at})::bigint as day_started,
            extract(epoch from intervals.started_at)::bigint as started,
            extract(epoch from intervals.ended_at)::bigint as ended
    ) as ends
    cross join lateral generate_series(
        ends.started - mod(ends.started - ends.day_started, 3600), ends.ended - 1, 3600
    ) as hour (epoch)
    where intervals.health_date = any({days})
    group by 1, 2, 3, 4
),

hours as (
    select
        health_date, mcp_server_id, hour_at,
        coalesce(sum(seconds) filter (where server_state = 'up'), 0) as up_seconds,
        coalesce(sum(seconds) filter (where server_state = 'down'), 0) as down_seconds,
        coalesce(sum(seconds) filter (where server_state = 'unknown'), 0) as unknown_seconds,
        coalesce(sum(seconds) filter (where server_state = 'disabled'), 0) as disabled_seconds
    from told
    group by 1, 2, 3
)

select
    built.health_date, built.mcp_server_id, built.hour_at,
    built.up_seconds, hours.up_seconds as up_in_timeline,
    built.down_seconds, hours.down_seconds as down_in_timeline,
    built.unknown_seconds, hours.unknown_seconds as unknown_in_timeline,
    built.disabled_seconds, hours.disabled_seconds as disabled_in_timeline
from batch as built
inner join hours using (health_date, mcp_server_id, hour_at)
where
    built.health_date < least(
        {today}, (select max(days.health_date) from analytics_build.fct_daily_health as days)
    )
    and (
        built.up_seconds, built.down_seconds, built.unknown_seconds, built.disabled_seconds
    )
    is distinct from
    (hours.up_seconds, hours.down_seconds, hours.unknown_seconds, hours.disabled_seconds)
    and {is_kept}
    and {untouched}
order by built.health_date, built.mcp_server_id, built.hour_at
"""


def health_untouched(scope: Scope, days: str, since: str) -> str:
    """The SQL that no event of a server came, changed or left since a transaction.

    Args:
        scope: whose days these are.
        days: the name under which the rows are with their server and `health_date`.
        since: the SQL of that transaction.
    """
    return _UNTOUCHED.format(
        days=days, since=since, ends_at=scope.starts_at(f"{days}.health_date + 1")
    )


def hours_as_told(scope: Scope) -> Expectation:
    """That each hour of a day to be published has the seconds that the timeline gives it."""
    return no_rows(
        "Each hour has the states that the timeline gives it",
        _OTHERWISE_TOLD.format(
            today=literal(scope.today),
            days=literal(list(scope.hourly_days)) + "::date[]",
            starts_at=scope.starts_at("intervals.health_date"),
            is_kept=scope.is_kept("built.health_date"),
            untouched=health_untouched(scope, "built", "built.built_xmin"),
        ),
    )
