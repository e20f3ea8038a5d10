-- What the marts are to say, straight from the raw rows, another way than the models: one row for
-- each thing that counts, with every dimension. Days are days of UTC; the clock stands at
-- 2026-03-06 00:00.

create schema raw_figures;

create function raw_figures.possible(figure numeric) returns numeric
language sql immutable
as 'select case when figure >= 0 and figure <= 1000000000000 then figure end';

create table raw_figures.events as
select
    a.id,
    (a.timestamp at time zone 'UTC')::date as usage_date,
    a.user_id,
    a.source_system,
    m.llm_model,
    a.mcp_target as mcp_server,
    a.tool_called as tool,
    a.mcp_target,
    a.mcps_accessed,
    a.tools_used,
    a.success,
    (a.status is not distinct from 'error' or not a.success) and a.was_blocked is not true
        as is_error,
    a.was_blocked is true as is_blocked,
    a.tool_called is not null as is_call,
    not (
        a.tool_called is not null
        and a.request_type is null
        and a.cost_usd is null
        and a.llm_tokens_used is null
        and coalesce(a.tokens_input, a.tokens_output, a.tokens_cached, a.tokens_cache_write) is null
    ) as is_request,
    a.tool_calls_count,
    t.tokens_input,
    t.tokens_output,
    t.tokens_cached,
    t.tokens_cache_write,
    raw_figures.possible(a.llm_tokens_used) as tokens_reported,
    coalesce(raw_figures.possible(a.llm_tokens_used), t.total) as tokens_total,
    raw_figures.possible(a.cost_usd) as recorded,
    case
        when
            least(a.tokens_input, a.tokens_output, a.tokens_cached, a.tokens_cache_write) >= 0
            then (
                t.tokens_input * p.input
                + t.tokens_output * p.output
                + case when t.tokens_cached > 0 then t.tokens_cached * p.cached_read else 0 end
                + case
                    when t.tokens_cache_write > 0 then t.tokens_cache_write * p.cache_write_5m
                    else 0
                end
            ) / 1000000
    end as recomputed,
    case
        when t.tokens_input is null or t.tokens_output is null
            then raw_figures.possible(a.llm_tokens_used) * p.input / 1000000
    end as estimated,
    p.input,
    p.output,
    p.cached_read,
    p.cache_write_5m
from omni2.audit_logs as a
cross join lateral (
    select
        raw_figures.possible(a.tokens_input) as tokens_input,
        raw_figures.possible(a.tokens_output) as tokens_output,
        raw_figures.possible(a.tokens_cached) as tokens_cached,
        raw_figures.possible(a.tokens_cache_write) as tokens_cache_write,
        (
            select sum(raw_figures.possible(kind))
            from unnest(
                array[a.tokens_input, a.tokens_output, a.tokens_cached, a.tokens_cache_write]
            ) as kind
        ) as total
) as t
cross join lateral (
    select
        case
            when a.llm_model = 'alias' then 'b'
            when a.llm_model is not null then a.llm_model
            when a.timestamp >= '2026-03-03 12:00+00' then 'a'
            else 'claude-3-5-haiku'
        end as llm_model
) as m
left join lateral (
    select *
    from ledger.model_prices as price
    where
        price.model = m.llm_model
        and price.valid_from <= a.timestamp
        and coalesce(price.valid_to, 'infinity') > a.timestamp
    order by price.is_own desc, price.valid_from desc
    limit 1
) as p on true;

create table raw_figures.fct_daily_usage as
select
    usage_date,
    user_id,
    llm_model,
    source_system,
    is_request::integer as requests,
    (is_request and is_error)::integer as errors,
    (is_request and is_blocked)::integer as blocked,
    is_call::integer as tool_calls,
    tool_calls_count as tool_calls_reported,
    tokens_input,
    tokens_output,
    tokens_cached,
    tokens_cache_write,
    tokens_total,
    (is_request and coalesce(recorded, recomputed, estimated) is null)::integer
        as requests_cost_unknown,
    recorded as cost_recorded_usd,
    recomputed as cost_recomputed_usd,
    recorded - recomputed as cost_difference_usd,
    coalesce(recorded, recomputed, estimated) as cost_usd
from raw_figures.events;

create table raw_figures.fct_daily_tool_usage as
select
    usage_date,
    mcp_server,
    tool,
    1 as calls,
    is_error::integer as errors,
    is_blocked::integer as blocked
from raw_figures.events
where is_call;

create table raw_figures.fct_daily_quota as
select
    e.usage_date,
    e.user_id,
    1 as rows_counted,
    coalesce(e.tokens_reported, 0) as tokens_used,
    case when e.recorded is null then coalesce(e.tokens_reported, 0) else 0 end as tokens_unpriced,
    coalesce(e.recorded, 0) as cost_recorded_usd,
    coalesce(e.recorded, e.tokens_reported * 0.80 / 1000000, 0) as cost_used_usd
from raw_figures.events as e
where e.success and e.user_id is not null;

-- Of each request: how often each server was called, in the order of names, and of how many in all.
create table raw_figures.fct_daily_mcp_cost as
with calls as (
    select
        e.id,
        s.name,
        greatest(
            1,
            cardinality(array_positions(e.mcps_accessed, s.name)),
            (select count(*) from unnest(e.tools_used) as tool where tool like s.name || '.%')
        ) as calls
    from raw_figures.events as e
    cross join lateral (
        select distinct name collate "C" as name
        from unnest(e.mcps_accessed || e.mcp_target::text) as name
    ) as s
    where s.name <> ''
),

parts as (
    select
        c.id,
        c.name,
        c.calls,
        (select sum(o.calls) from calls as o where o.id = c.id and o.name < c.name) as before,
        (select sum(o.calls) from calls as o where o.id = c.id) as whole
    from calls as c
)

select
    e.usage_date,
    coalesce(p.name, 'no server') as mcp_server,
    p.name is null as is_no_server,
    e.llm_model,
    1 as requests,
    coalesce(p.calls < p.whole, false)::integer as requests_shared,
    coalesce(p.calls, 0) as calls,
    (coalesce(recorded, recomputed, estimated) is null)::integer as requests_cost_unknown,
    trunc(e.tokens_total * w.up_to) - trunc(e.tokens_total * w.before) as tokens_total,
    case when w.up_to = 1 then e.recorded else trunc(e.recorded * w.up_to, 12) end
    - trunc(e.recorded * w.before, 12) as cost_recorded_usd,
    case when w.up_to = 1 then e.recomputed else trunc(e.recomputed * w.up_to, 12) end
    - trunc(e.recomputed * w.before, 12) as cost_recomputed_usd
from raw_figures.events as e
left join parts as p on e.id = p.id
cross join lateral (
    -- a hair more than the share, so that what ends there isn't cut below it
    select
        case
            when p.whole > coalesce(p.before, 0) + p.calls
                then (coalesce(p.before, 0) + p.calls)::numeric(60, 40) / p.whole + 1e-36
            else 1
        end as up_to,
        case when p.before > 0 then p.before::numeric(60, 40) / p.whole + 1e-36 else 0 end as before
) as w
where e.is_request;

-- Money of a kind of tokens only where it is tokens times a price: what requests without one
-- cost in a day is dealt out over their kinds together.
create table raw_figures.fct_focus as
select
    e.usage_date,
    e.user_id as x_user_id,
    e.llm_model as x_model,
    e.source_system as x_source_system,
    coalesce(e.recomputed, e.recorded, e.estimated, 0) as billed_cost,
    coalesce(e.recorded, e.recomputed, e.estimated, 0) as x_ledger_cost
from raw_figures.events as e
where e.is_request;

create table raw_figures.focus_kinds as
select
    e.usage_date,
    e.user_id as x_user_id,
    e.llm_model as x_model,
    e.source_system as x_source_system,
    k.kind as x_token_kind,
    k.tokens as x_tokens,
    case when e.recomputed is not null then k.tokens * k.price / 1000000 end as computed_cost
from raw_figures.events as e
cross join lateral (
    values
    ('input', e.tokens_input, e.input),
    ('output', e.tokens_output, e.output),
    ('cached', e.tokens_cached, e.cached_read),
    ('cache_write', e.tokens_cache_write, e.cache_write_5m)
) as k (kind, tokens, price)
where e.is_request and e.recomputed is not null and k.tokens > 0;

-- A state holds until the next event, or for three times the interval of five minutes.
create table raw_figures.fct_daily_health as
with events as (
    select
        mcp_server_id,
        timestamp as at,
        status,
        case status when 'healthy' then 'up' when 'disabled' then 'disabled' else 'down' end as state,
        least(
            lead(timestamp) over (partition by mcp_server_id order by timestamp),
            timestamp + interval '15 minutes',
            timestamptz '2026-03-06 00:00+00'
        ) as until
    from omni2.mcp_health_log
),

days as (
    select
        day::date as health_date,
        day as starts_at,
        day + interval '1 day' as ends_at,
        s.id as mcp_server_id
    from generate_series(
        timestamptz '2026-03-01 00:00+00', '2026-03-05 00:00+00', interval '1 day'
    ) as day
    cross join omni2.mcp_servers as s
),

parts as (
    select
        d.health_date,
        d.mcp_server_id,
        e.state,
        e.status,
        e.at >= d.starts_at as is_of_day,
        extract(epoch from least(e.until, d.ends_at) - greatest(e.at, d.starts_at)) as seconds
    from days as d
    inner join events as e
        on d.mcp_server_id = e.mcp_server_id and e.at < d.ends_at and e.until > d.starts_at
)

select
    health_date,
    mcp_server_id,
    case when state = 'up' then seconds else 0 end as up_seconds,
    case when state = 'down' then seconds else 0 end as down_seconds,
    case when state = 'disabled' then seconds else 0 end as disabled_seconds,
    -seconds as unknown_seconds,
    is_of_day::integer as checks,
    (is_of_day and state = 'up')::integer as checks_up,
    (is_of_day and status = 'timeout')::integer as checks_timeout
from parts
union all
select health_date, mcp_server_id, 0, 0, 0, 86400, 0, 0, 0
from days;
