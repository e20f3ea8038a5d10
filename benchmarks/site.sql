-- A year of published figures: 365 days, 500 users that each work every day, 6 models, 50 servers
-- with 4 tools each. Made in sets, the same on every machine.

do $$
declare
    mart text;
    one record;
begin
    for mart in
        select c.relname
        from pg_catalog.pg_class as c
        where c.relnamespace = 'analytics_build'::regnamespace
            and c.relkind = 'r' and c.relname ~ '^(fct|dim)_'
    loop
        execute format(
            'create table analytics.%I (like analytics_build.%I including comments)', mart, mart
        );
        -- What the page doesn't read is nothing in particular.
        for one in
            select a.attname, t.typname
            from pg_catalog.pg_attribute as a
            inner join pg_catalog.pg_type as t on a.atttypid = t.oid
            where a.attrelid = format('analytics.%I', mart)::regclass and a.attnum > 0
        loop
            execute format(
                'alter table analytics.%I alter column %I set default %s', mart, one.attname,
                case
                    when one.typname in ('int4', 'int8', 'numeric') then '0'
                    when one.typname in ('timestamptz', 'date') then 'now()'
                    when one.typname = 'bool' then 'false'
                    when one.typname like '\_%' then '''{}'''
                    when one.typname = 'text' then ''''''
                    when one.typname ~ '^json' then '''[]'''
                    when one.typname ~ 'range$' then '''{}'''
                    else 'null'
                end
            );
        end loop;
    end loop;
end
$$;

insert into analytics.dim_users (user_id, display_name, email)
select n, 'User ' || n, 'user' || n || '@example.org' from generate_series(1, 500) as n;

insert into analytics.dim_mcp_servers (mcp_server_id, mcp_server_name, last_event_at, checks_verdict)
select n, 'server ' || n, '2026-03-01', case when n % 25 = 0 then 'silent' else 'running' end
from generate_series(1, 50) as n;

insert into analytics.fct_daily_usage (
    usage_key, usage_date, user_id, llm_model, source_system, requests, errors, blocked,
    tokens_input, tokens_output, tokens_cached, tokens_total, requests_cost_recorded,
    cost_recorded_usd, cost_recomputed_usd, cost_difference_usd, cost_usd
)
select
    day || '-' || n, date '2026-03-01' - day, n, 'claude-model-' || (n * 7 + day / 90) % 6,
    case n % 3 when 0 then 'gateway' else 'chat' end, requests, requests / 40, requests / 90,
    input, output, input / 3, input + output, requests,
    round(input * 0.0000008 + output * 0.000004, 6),
    input * 0.0000008 + output * 0.000004 + input / 3 * 0.00000008,
    round(input * 0.0000008 + output * 0.000004, 6)
    - (input * 0.0000008 + output * 0.000004 + input / 3 * 0.00000008),
    round(input * 0.0000008 + output * 0.000004, 6)
from generate_series(1, 365) as day
cross join generate_series(1, 500) as n
cross join lateral (
    select
        1 + (hashint4(day * 1000 + n) & 63) as requests,
        (hashint4(day * 2003 + n) & 131071)::bigint as input,
        (hashint4(day * 3001 + n) & 16383)::bigint as output
) as made;

insert into analytics.fct_daily_quota (
    quota_key, usage_date, user_id, tokens_used, cost_recorded_usd, cost_used_usd, cost_limit_usd,
    limit_basis, used_share, is_exceeded, crossed_at, overspend_usd
)
select
    usage_key, usage_date, user_id, tokens_total, cost_recorded_usd, cost_recorded_usd, 0.16, 'role',
    cost_recorded_usd / 0.16, cost_recorded_usd >= 0.16,
    case when cost_recorded_usd >= 0.16 then usage_date + interval '17 hours' end,
    greatest(cost_recorded_usd - 0.16, 0)
from analytics.fct_daily_usage;

insert into analytics.fct_daily_tool_usage (
    tool_usage_key, usage_date, mcp_server, tool, calls, errors, blocked, users, p50_duration_ms,
    p95_duration_ms
)
select
    day || '-' || n || '-' || tool, date '2026-03-01' - day, 'server ' || n, 'tool ' || tool,
    calls, calls / 30, calls / 90, calls / 4, 40 + calls % 90, 200 + calls % 700
from generate_series(1, 365) as day
cross join generate_series(1, 50) as n
cross join generate_series(1, 4) as tool
cross join lateral (
    select (hashint4(day * 5003 + n * 4 + tool) & 255)::bigint as calls
) as made;

insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, day_seconds, up_seconds, down_seconds, unknown_seconds,
    uptime_share, coverage_share, checks, responses, p50_response_ms, p95_response_ms,
    p99_response_ms, incidents, longest_outage_seconds, objective_share, error_budget_seconds,
    error_budget_left_seconds
)
select
    day || '-' || n, date '2026-03-01' - day, n, 86400, 86400 - down - unknown, down, unknown,
    round((86400 - down - unknown) / nullif(86400 - unknown, 0)::numeric, 9),
    round((86400 - unknown) / 86400.0, 9),
    288, 288, 40 + made.down % 60, 150 + made.down % 90, 400 + made.down % 300,
    (down > 0)::integer, down, 0.995, 0.005 * (86400 - unknown), 0.005 * (86400 - unknown) - down
from generate_series(1, 365) as day
cross join generate_series(1, 50) as n
cross join lateral (
    select
        case when hashint4(day * 71 + n) & 15 = 0 then hashint4(day * 73 + n) & 8191 else 0 end
            as down,
        case when hashint4(day * 79 + n) & 15 = 1 then 21600 else 0 end as unknown
) as made;

insert into analytics.fct_hourly_health (
    hourly_health_key, health_date, mcp_server_id, hour_at, hour_seconds, day_seconds, up_seconds,
    down_seconds, unknown_seconds, checks
)
select
    hour || '-' || n, (hour_at at time zone 'UTC')::date, n, hour_at, 3600, 86400,
    3600 - down - unknown, down, unknown, 12
from generate_series(1, 168) as hour
cross join generate_series(1, 50) as n
cross join lateral (
    select
        timestamptz '2026-03-01 00:00+00' - hour * interval '1 hour' as hour_at,
        case when hashint4(hour * 83 + n) & 31 = 0 then 900 else 0 end as down,
        case when hashint4(hour * 89 + n) & 31 = 1 then 1800 else 0 end as unknown
) as made;

insert into analytics.fct_incidents (
    incident_key, opened_date, mcp_server_id, opened_at, closed_at, ended_as, down_seconds, checks,
    first_error, last_error
)
select
    health_key, health_date, mcp_server_id, health_date + interval '9 hours',
    health_date + interval '9 hours' + down_seconds * interval '1 second', 'up', down_seconds,
    1 + down_seconds / 300, 'no answer from the server', 'connection reset'
from analytics.fct_daily_health
where down_seconds > 0;

insert into analytics.fct_bill_reconciliation (
    reconciliation_key, bill_date, llm_model, token_kind, is_settled, ledger_usd, billed_usd,
    difference_usd, cause_price_usd
)
select
    day || '-' || n, date '2026-03-01' - day, 'claude-model-' || n, 'input', day > 30, 30 + n, 31 + n,
    1, 1
from generate_series(1, 365) as day
cross join generate_series(0, 5) as n;

analyze;
