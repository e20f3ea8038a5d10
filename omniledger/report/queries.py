"""The queries of the report: each reads published marts or the ledger's own tables, set-based."""

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
        sum(cost_computed_usd) as cost_computed_usd,
        sum(cost_estimated_usd) as cost_estimated_usd,
        sum(cost_difference_usd) as cost_difference_usd,
        sum(cost_usd) as cost_usd,
        sum(tokens_cost_unknown) as tokens_cost_unknown
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
    sum(cost_computed_usd) as cost_computed_usd,
    sum(cost_estimated_usd) as cost_estimated_usd,
    sum(cost_difference_usd) as cost_difference_usd,
    sum(cost_usd) as cost_usd,
    sum(tokens_cost_unknown)::bigint as tokens_cost_unknown
from placed
group by side, least(place, places + 1)
order by side, least(place, places + 1)
"""

USAGE_COUNTS = """
select
    count(distinct llm_model)::integer as models,
    count(distinct user_id)::integer as users,
    bool_or(user_id is null) as has_unknown_user
from analytics.fct_daily_usage
"""

USERS = """
select users.user_id, users.display_name, users.email
from {users} as users
where users.user_id = any(%(ids)s)
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
select coalesce(reason, '') as reason, count(*) as rows
from ledger.audit_quarantine
group by reason
order by count(*) desc, reason
"""
