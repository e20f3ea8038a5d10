"""The queries of the report: each reads published marts or the ledger's own tables, set-based."""

RELATIONS = """
select n.nspname || '.' || c.relname as name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname in ('analytics', 'ledger') and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

CLOCK = "select now()"

SETTINGS = """
select name, value
from ledger.settings
where name in ('reporting_timezone', 'default_model', 'as_of', 'demo_note')
"""

# One scan gives all four sides and the total; members past the limit are summed into one row.
USAGE = """
with grouped as (
    select
        case
            when grouping(usage_date) = 0 then 'day'
            when grouping(user_id) = 0 then 'user'
            when grouping(llm_model) = 0 then 'model'
            when grouping(source_system) = 0 then 'source'
            else 'total'
        end as side,
        coalesce(usage_date::text, user_id::text, llm_model, source_system) as member,
        min(usage_date) as first_day,
        max(usage_date) as last_day,
        count(distinct usage_date) as days,
        sum(requests) as requests,
        sum(errors) as errors,
        sum(blocked) as blocked,
        sum(tokens_input) as tokens_input,
        sum(tokens_output) as tokens_output,
        sum(tokens_cached) as tokens_cached,
        sum(tokens_cache_write) as tokens_cache_write,
        sum(tokens_total) as tokens_total,
        sum(requests_cost_recorded) as requests_cost_recorded,
        sum(requests_cost_computed) as requests_cost_computed,
        sum(requests_cost_estimated) as requests_cost_estimated,
        sum(requests_cost_unknown) as requests_cost_unknown,
        sum(requests_model_assumed) as requests_model_assumed,
        sum(requests_impossible) as requests_impossible,
        sum(cost_recorded_usd) as cost_recorded_usd,
        sum(cost_recomputed_usd) as cost_recomputed_usd,
        sum(cost_estimated_usd) as cost_estimated_usd,
        sum(cost_difference_usd) as cost_difference_usd
    from analytics.fct_daily_usage
    group by grouping sets ((), (usage_date), (user_id), (llm_model), (source_system))
),

placed as (
    select
        *,
        row_number() over (
            partition by side
            order by
                case when side = 'day' then member end desc,
                cost_recomputed_usd desc nulls last,
                requests desc,
                member
        ) as place,
        case side when 'day' then %(days)s else %(members)s end as places
    from grouped
)

select
    side,
    min(member) as member,
    count(*) as members,
    min(first_day) as first_day,
    max(last_day) as last_day,
    max(days)::integer as days,
    coalesce(sum(requests), 0)::bigint as requests,
    coalesce(sum(errors), 0)::bigint as errors,
    coalesce(sum(blocked), 0)::bigint as blocked,
    sum(tokens_input)::bigint as tokens_input,
    sum(tokens_output)::bigint as tokens_output,
    sum(tokens_cached)::bigint as tokens_cached,
    sum(tokens_cache_write)::bigint as tokens_cache_write,
    sum(tokens_total)::bigint as tokens_total,
    coalesce(sum(requests_cost_recorded), 0)::bigint as requests_cost_recorded,
    coalesce(sum(requests_cost_computed), 0)::bigint as requests_cost_computed,
    coalesce(sum(requests_cost_estimated), 0)::bigint as requests_cost_estimated,
    coalesce(sum(requests_cost_unknown), 0)::bigint as requests_cost_unknown,
    coalesce(sum(requests_model_assumed), 0)::bigint as requests_model_assumed,
    coalesce(sum(requests_impossible), 0)::bigint as requests_impossible,
    sum(cost_recorded_usd) as cost_recorded_usd,
    sum(cost_recomputed_usd) as cost_recomputed_usd,
    sum(cost_estimated_usd) as cost_estimated_usd,
    sum(cost_difference_usd) as cost_difference_usd
from placed
group by side, least(place, places + 1)
order by side, least(place, places + 1)
"""

USAGE_COUNTS = """
select
    count(distinct llm_model)::integer as models,
    count(distinct user_id)::integer as users
from analytics.fct_daily_usage
"""

USERS = """
select user_id, display_name, email
from analytics.dim_users
where user_id = any(%(ids)s)
"""

TOOLS = """
with grouped as (
    select
        mcp_server,
        tool,
        sum(calls) as calls,
        sum(errors) as errors,
        sum(blocked) as blocked,
        max(users) as users,
        max(p50_duration_ms) as p50_duration_ms,
        max(p95_duration_ms) as p95_duration_ms
    from analytics.fct_daily_tool_usage
    group by mcp_server, tool
),

placed as (
    select
        *,
        least(
            row_number() over (order by calls desc, mcp_server, tool), %(members)s + 1
        ) as place
    from grouped
)

select
    min(mcp_server) as mcp_server,
    min(tool) as tool,
    count(*) as members,
    sum(calls)::bigint as calls,
    sum(errors)::bigint as errors,
    sum(blocked)::bigint as blocked,
    max(users)::bigint as users,
    max(p50_duration_ms) as p50_duration_ms,
    max(p95_duration_ms) as p95_duration_ms
from placed
group by place
order by place
"""

# {servers} is the dimension, or an empty stand-in for it before it is published.
HEALTH = """
with newest as (
    select max(health_date) - %(days)s + 1 as first_day
    from analytics.fct_daily_health
)

select
    health.mcp_server_id,
    servers.mcp_server_name,
    health.health_date,
    sum(health.up_seconds)::bigint as up_seconds,
    sum(health.down_seconds)::bigint as down_seconds,
    sum(health.unknown_seconds)::bigint as unknown_seconds,
    sum(health.disabled_seconds)::bigint as disabled_seconds,
    case
        when grouping(health.health_date) = 0 then max(health.uptime_share)
        else
            sum(health.up_seconds)::numeric
            / nullif(sum(health.up_seconds) + sum(health.down_seconds), 0)
    end as uptime_share,
    case
        when grouping(health.health_date) = 0 then max(health.coverage_share)
        else
            (sum(health.up_seconds) + sum(health.down_seconds))::numeric
            / nullif(sum(health.day_seconds) - sum(health.disabled_seconds), 0)
    end as coverage_share,
    coalesce(sum(health.checks), 0)::bigint as checks,
    coalesce(sum(health.incidents), 0)::bigint as incidents,
    max(health.longest_outage_seconds) as longest_outage_seconds,
    max(health.p95_response_ms) as p95_response_ms
from analytics.fct_daily_health as health
inner join newest on health.health_date >= newest.first_day
left join {servers} as servers on health.mcp_server_id = servers.mcp_server_id
group by grouping sets (
    (health.mcp_server_id, servers.mcp_server_name, health.health_date),
    (health.mcp_server_id, servers.mcp_server_name)
)
order by
    sum(sum(health.down_seconds)) over (partition by health.mcp_server_id) desc,
    sum(sum(health.unknown_seconds)) over (partition by health.mcp_server_id) desc,
    servers.mcp_server_name,
    health.mcp_server_id,
    health.health_date desc nulls first
"""

SERVERS = "analytics.dim_mcp_servers"

NO_SERVERS = "(select null::integer as mcp_server_id, null::text as mcp_server_name)"

RUNS = """
select started_at, finished_at, verdict, coalesce(reason, '') as reason
from ledger.runs
order by started_at desc
limit %(recent)s
"""

LAST_RUN = """
select started_at, finished_at, verdict, coalesce(reason, '') as reason
from ledger.runs
where verdict = %(verdict)s
order by started_at desc
limit 1
"""

GATE = """
with last_judged as (
    select run_id
    from ledger.gate_results
    order by judged_at desc
    limit 1
)

select
    max(judged_at) over () as judged_at,
    coalesce(suite, '') as suite,
    coalesce(expectation, '') as expectation,
    coalesce(column_name, '') as column_name,
    severity,
    coalesce(passed, false) as passed,
    coalesce(observed, '') as observed,
    unexpected_count,
    case when jsonb_typeof(sample) = 'array' then jsonb_array_length(sample) else 0 end as samples
from ledger.gate_results
where run_id = (select run_id from last_judged)
order by coalesce(passed, false), severity = 'warn', suite, expectation, column_name
"""

# An upgrade that found no old rows leaves a certificate of nothing.
MERGE = """
select
    finished_at,
    coalesce(legacy_table, '') as legacy_table,
    coalesce(rows_total, 0) as rows_total,
    coalesce(rows_copied, 0) as rows_copied,
    coalesce(rows_matched, 0) as rows_matched,
    coalesce(rows_quarantined, 0) as rows_quarantined,
    coalesce(rows_ambiguous, 0) as rows_ambiguous,
    coalesce(users_unmapped, 0) as users_unmapped,
    coalesce(sums, '{}') as sums,
    coalesce(checksum, '') as checksum,
    holds,
    coalesce(detail, '') as detail
from ledger.merge_runs
where rows_total is distinct from 0
order by id desc
limit 1
"""

QUARANTINE = """
select coalesce(reason, '') as reason, count(*) as count
from ledger.audit_quarantine
group by reason
order by count(*) desc, reason
"""
