"""What must be true of `fct_daily_health`: seconds up, down and unknown by day and MCP server."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.health_terms import begun_as_told
from expectations.rules import Judged, all_known, between, never_null, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date

_KEY = ("health_key", "health_date", "mcp_server_id")

_FIGURES = (
    "up_seconds",
    "down_seconds",
    "unknown_seconds",
    "disabled_seconds",
    "checks",
    "checks_up",
    "checks_down",
    "checks_disabled",
    "incidents",
    "outages",
    "longest_outage_seconds",
)

_DOUBLED = """
select health_date, mcp_server_id, count(*) as rows, min(health_key) as health_key
from batch
group by health_date, mcp_server_id
having count(*) > 1
"""

_SECONDS_DO_NOT_ADD_UP = """
select
    health_key, health_date, mcp_server_id,
    day_seconds, up_seconds, down_seconds, unknown_seconds, disabled_seconds
from batch
where
    day_seconds is distinct from up_seconds + down_seconds + unknown_seconds + disabled_seconds
"""

_LONGER_THAN_THE_DAY = """
select health_key, health_date, mcp_server_id, day_seconds, length::integer as length_of_day
from (
    select *, extract(epoch from {ends_at} - {starts_at}) as length
    from batch
) as days
where day_seconds > length
"""

_BELOW_ZERO = """
select health_key, health_date, mcp_server_id, figure, value
from batch
cross join lateral (
    values
    ('day_seconds', day_seconds::bigint),
    ('up_seconds', up_seconds),
    ('down_seconds', down_seconds),
    ('unknown_seconds', unknown_seconds),
    ('disabled_seconds', disabled_seconds),
    ('checks', checks),
    ('checks_up', checks_up),
    ('checks_down', checks_down),
    ('checks_disabled', checks_disabled),
    ('checks_unhealthy', checks_unhealthy),
    ('checks_timeout', checks_timeout),
    ('checks_disconnected', checks_disconnected),
    ('checks_circuit_open', checks_circuit_open),
    ('checks_error', checks_error),
    ('checks_unknown_word', checks_unknown_word),
    ('responses', responses),
    ('responses_impossible', responses_impossible),
    ('incidents', incidents),
    ('longest_outage_seconds', longest_outage_seconds)
) as figures (figure, value)
where value < 0
"""

_MORE_THAN_CHECKS = """
select
    health_key, health_date, mcp_server_id, checks, checks_up, checks_down, checks_unknown_word,
    checks_unhealthy, checks_timeout, checks_disconnected, checks_circuit_open, checks_error
from batch
where
    checks_up + checks_down + checks_disabled <> checks
    or checks_unknown_word + checks_unhealthy + checks_timeout + checks_disconnected
    + checks_circuit_open + checks_error > checks_down
    or responses + responses_impossible > checks
"""

_OUTAGES_DISAGREE = """
select
    health_key, health_date, mcp_server_id,
    incidents, outages, down_seconds, longest_outage_seconds, error_budget_left_seconds::text,
    error_budget_seconds::text, error_budget_left_share::text, burn_rate::text,
    mttr_seconds::text, mtbf_seconds::text
from batch
where
    outages - incidents not in (0, 1)
    or longest_outage_seconds > down_seconds
    or (outages = 0) <> (down_seconds = 0)
    or error_budget_left_seconds <> error_budget_seconds - down_seconds
    or error_budget_seconds <> (1 - objective_share) * (up_seconds + down_seconds)
    or abs(burn_rate * error_budget_seconds - down_seconds) > 0.0001 * error_budget_seconds
    or (burn_rate is null) <> (error_budget_seconds = 0)
    or error_budget_left_share is distinct from 1 - burn_rate
    or abs(mttr_seconds * outages - down_seconds) > 0.0001 * outages
    or (mttr_seconds is null) <> (outages = 0)
    or abs(mtbf_seconds * incidents - up_seconds) > 0.0001 * incidents
    or (mtbf_seconds is null) <> (incidents = 0)
"""

_IMPOSSIBLE_RESPONSES = """
select health_key, health_date, mcp_server_id, responses_impossible
from batch
where responses_impossible > 0
order by health_date desc
"""

# A share is a quotient that may be rounded, but never to more than a hundredth of a per cent.
_SHARES_WITHOUT_THEIR_SECONDS = """
select
    health_key, health_date, mcp_server_id, up_seconds, down_seconds,
    uptime_share::text, coverage_share::text
from batch
where
    abs(uptime_share * (up_seconds + down_seconds) - up_seconds)
    > 0.0001 * (up_seconds + down_seconds)
    or (uptime_share is null) <> (up_seconds + down_seconds = 0)
    or (coverage_share is null) <> (day_seconds = disabled_seconds)
    or abs(coverage_share * (day_seconds - disabled_seconds) - (up_seconds + down_seconds))
    > 0.0001 * (day_seconds - disabled_seconds)
"""

_RESPONSES_OUT_OF_ORDER = """
select
    health_key, health_date, mcp_server_id, responses,
    p50_response_ms, p95_response_ms, p99_response_ms
from batch
where
    p50_response_ms < 0
    or p50_response_ms > p95_response_ms
    or p95_response_ms > p99_response_ms
    or p99_response_ms > 3600000
    or num_nulls(p50_response_ms, p95_response_ms, p99_response_ms)
    <> case when responses = 0 then 3 else 0 end
"""

# A date that the date line skipped begins when the next one does.
_DAYS_MISSING = """
select health_key, mcp_server_id, previous + 1 as first_missing, health_date - 1 as last_missing
from (
    select
        health_key, mcp_server_id, health_date,
        lag(health_date) over (partition by mcp_server_id order by health_date) as previous
    from batch
) as days
where {day_after_starts_at} < {starts_at}
"""

# The days in between are another rule's. An event must still be in the log; and one of the first
# instant of a day is not enough, for that day had no second yet.
_ENDS_MISSING = """
select servers.mcp_server_id, {date_of} as health_date, ends.event_at::text
from analytics_build.dim_mcp_servers as servers
cross join lateral (
    values (servers.first_event_at), (servers.last_event_at)
) as ends (event_at)
where
    {date_of} = {date_before}
    and exists (
        select 1
        from omni2.mcp_health_log as raw
        where raw.mcp_server_id = servers.mcp_server_id and raw.timestamp = ends.event_at
    )
    and not exists (
        select 1
        from batch
        where batch.mcp_server_id = servers.mcp_server_id and batch.health_date = {date_of}
    )
"""

_DAYS_TO_COME = """
select health_key, health_date, mcp_server_id
from batch
where health_date > {today}
"""

# The words themselves are looked up for the sample only.
_UNKNOWN_WORDS = """
select
    health_key, health_date, mcp_server_id, checks_unknown_word,
    (
        select string_agg(distinct left(cast(log.status as text), 40), ', ')
        from omni2.mcp_health_log as log
        where
            log.mcp_server_id = health.mcp_server_id
            and log.timestamp >= {starts_at}
            and log.timestamp < {ends_at}
    ) as words_of_the_day
from batch as health
where checks_unknown_word > 0
order by health_date desc
"""

_UNKNOWN_SERVERS = """
select mcp_server_id, min(health_date) as first_date, max(health_date) as last_date
from batch
where
    mcp_server_id not in (
        select servers.mcp_server_id from analytics_build.dim_mcp_servers as servers
    )
group by mcp_server_id
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the daily health."""
    starts_at, ends_at = scope.starts_at("health_date"), scope.starts_at("health_date + 1")
    suite = ExpectationSuite(
        name="daily_health",
        expectations=[
            *(never_null(c) for c in (*_KEY, "day_seconds", "built_at", "built_xmin")),
            all_known(_FIGURES, _KEY),
            unique("health_key"),
            no_rows("Each day and server has one row", _DOUBLED),
            no_rows("No figure is below zero", _BELOW_ZERO),
            no_rows("Up, down, unknown and disabled make up the day", _SECONDS_DO_NOT_ADD_UP),
            no_rows(
                "No day has more seconds than it is long",
                _LONGER_THAN_THE_DAY.format(starts_at=starts_at, ends_at=ends_at),
                column="day_seconds",
            ),
            *(between(c, 0, 1) for c in ("uptime_share", "coverage_share", "objective_share")),
            between("error_budget_left_share", None, 1),
            no_rows("Shares agree with their seconds", _SHARES_WITHOUT_THEIR_SECONDS),
            no_rows("Kinds of checks make up the checks", _MORE_THAN_CHECKS),
            no_rows("Outages agree with the time down and the budget", _OUTAGES_DISAGREE),
            no_rows("Response percentiles are in order", _RESPONSES_OUT_OF_ORDER),
            *begun_as_told(scope),
            no_rows(
                "No day is missing between a server's first and last",
                _DAYS_MISSING.format(
                    day_after_starts_at=scope.starts_at("previous + 1"), starts_at=starts_at
                ),
            ),
            no_rows(
                "Neither the day of a server's first event nor that of its last is missing",
                _ENDS_MISSING.format(
                    date_of=scope.date_of("ends.event_at"),
                    date_before=scope.date_of("(ends.event_at - interval '2 seconds')"),
                ),
            ),
            *up_to_date(scope, "fct_daily_health", "health_date", "omni2.mcp_health_log"),
            no_rows(
                "No day lies in the future",
                _DAYS_TO_COME.format(today=literal(scope.today)),
                column="health_date",
            ),
            no_rows(
                "Every status word of the health log is known",
                _UNKNOWN_WORDS.format(starts_at=starts_at, ends_at=ends_at),
                severity="warn",
                column="checks_unknown_word",
            ),
            no_rows(
                "Every response time can be",
                _IMPOSSIBLE_RESPONSES,
                severity="warn",
                column="responses_impossible",
            ),
            no_rows(
                "Every server has a name", _UNKNOWN_SERVERS, severity="warn", column="mcp_server_id"
            ),
        ],
    )
    return (Judged(suite, mart="fct_daily_health", key=_KEY),)
