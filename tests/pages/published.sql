-- Three days of published figures that are known by heart, in an upgraded database: the ledger's
-- own tables are the migrations'; the marts, which the models make, are plain tables here, so
-- that the pages are tested on their own.

create schema if not exists analytics;

create table analytics.fct_daily_usage (
    usage_key text primary key,
    usage_date date,
    user_id integer,
    llm_model text,
    source_system text,
    requests bigint,
    errors bigint,
    blocked bigint,
    tool_calls bigint,
    tool_calls_reported bigint,
    tokens_input bigint,
    tokens_output bigint,
    tokens_cached bigint,
    tokens_cache_write bigint,
    tokens_total bigint,
    tokens_cost_unknown bigint,
    requests_cost_recorded bigint,
    requests_cost_computed bigint,
    requests_cost_estimated bigint,
    requests_cost_unknown bigint,
    requests_model_assumed bigint,
    requests_impossible bigint,
    cost_recorded_usd numeric,
    cost_recomputed_usd numeric,
    cost_computed_usd numeric,
    cost_estimated_usd numeric,
    cost_difference_usd numeric,
    cost_usd numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_daily_quota (
    quota_key text primary key,
    usage_date date,
    user_id integer,
    rows_counted bigint,
    tokens_used bigint,
    tokens_unpriced bigint,
    cost_recorded_usd numeric,
    cost_unpriced_usd numeric,
    cost_used_usd numeric,
    cost_limit_usd numeric,
    limit_basis text,
    unpriced_input_usd numeric,
    used_share numeric,
    is_exceeded boolean,
    crossed_at timestamptz,
    overspend_usd numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_bill_reconciliation (
    reconciliation_key text primary key,
    bill_date date,
    llm_model text,
    token_kind text,
    is_settled boolean,
    is_usage_known boolean,
    is_cost_known boolean,
    ledger_tokens numeric,
    billed_tokens numeric,
    difference_tokens numeric,
    ledger_usd numeric,
    billed_usd numeric,
    difference_usd numeric,
    cause_price_usd numeric,
    cause_token_count_usd numeric,
    cause_cache_write_usd numeric,
    cause_unseen_usd numeric,
    cause_day_boundary_usd numeric,
    cause_discount_usd numeric,
    cause_list_price_usd numeric,
    cause_tier_usd numeric,
    cause_other_usd numeric,
    cause_unexplained_usd numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.usage_revisions (
    usage_date date not null,
    user_id integer,
    llm_model text not null,
    source_system text not null,
    old jsonb,
    new jsonb,
    revised_at timestamptz not null,
    reason text not null,
    run_id uuid
);

create table analytics.fct_daily_tool_usage (
    tool_usage_key text primary key,
    usage_date date,
    mcp_server text,
    tool text,
    calls bigint,
    errors bigint,
    blocked bigint,
    users bigint,
    p50_duration_ms numeric,
    p95_duration_ms numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_daily_mcp_cost (
    mcp_cost_key text primary key,
    usage_date date,
    mcp_server text,
    is_no_server boolean,
    llm_model text,
    requests bigint,
    requests_shared bigint,
    requests_cost_unknown bigint,
    calls bigint,
    tokens_total bigint,
    tokens_cost_unknown bigint,
    cost_recorded_usd numeric,
    cost_recomputed_usd numeric,
    cost_usd numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_daily_health (
    health_key text primary key,
    health_date date,
    mcp_server_id integer,
    day_seconds integer,
    stated_interval_seconds integer,
    check_interval_seconds integer,
    check_interval_source text,
    up_seconds integer,
    down_seconds integer,
    unknown_seconds integer,
    disabled_seconds integer,
    uptime_share numeric,
    coverage_share numeric,
    checks bigint,
    checks_up bigint,
    checks_down bigint,
    checks_disabled bigint,
    checks_unhealthy bigint,
    checks_timeout bigint,
    checks_disconnected bigint,
    checks_circuit_open bigint,
    checks_error bigint,
    checks_unknown_word bigint,
    responses bigint,
    responses_impossible bigint,
    p50_response_ms numeric,
    p95_response_ms numeric,
    p99_response_ms numeric,
    incidents bigint,
    outages bigint,
    longest_outage_seconds integer,
    mttr_seconds numeric,
    mtbf_seconds numeric,
    objective_share numeric,
    error_budget_seconds numeric,
    error_budget_left_seconds numeric,
    error_budget_left_share numeric,
    burn_rate numeric,
    state_at_start text,
    outage_list jsonb,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_hourly_health (
    hourly_health_key text primary key,
    health_date date,
    mcp_server_id integer,
    hour_at timestamptz,
    hour_seconds integer,
    day_seconds integer,
    stated_interval_seconds integer,
    up_seconds integer,
    down_seconds integer,
    unknown_seconds integer,
    disabled_seconds integer,
    checks bigint,
    checks_down bigint,
    p50_response_ms numeric,
    p95_response_ms numeric,
    p99_response_ms numeric,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.fct_incidents (
    incident_key text primary key,
    opened_date date,
    mcp_server_id integer,
    opened_at timestamptz,
    closed_at timestamptz,
    last_down_at timestamptz,
    ended_as text,
    down_seconds bigint,
    checks bigint,
    first_error text,
    last_error text,
    built_xmin bigint,
    built_at timestamptz
);

create table analytics.dim_users (
    user_id integer primary key,
    email text,
    display_name text,
    role_name text,
    cost_limit_daily_usd numeric,
    is_active boolean
);

create table analytics.dim_mcp_servers (
    mcp_server_id integer primary key,
    mcp_server_name text,
    first_event_at timestamptz,
    last_event_at timestamptz,
    stated_interval_seconds integer,
    check_interval_seconds integer,
    check_interval_source text,
    longest_hold_seconds integer,
    checks_verdict text
);

insert into ledger.settings (name, value) values
    ('reporting_timezone', 'Europe/Berlin'),
    ('default_model', 'claude-3-5-haiku'),
    ('as_of', '2026-02-12 18:00:00.25+00')
on conflict (name) do update set value = excluded.value;

insert into analytics.dim_users (user_id, email, display_name, role_name, is_active) values
    (1, 'ada@example.org', 'Ada Lovelace', 'engineer', true),
    (2, 'mallory@example.org', '<script>alert("user")</script>', 'guest', true),
    (3, 'grace@example.org', null, 'engineer', true),
    (4, 'reverse@example.org', E'Reverse \u202edrow', 'guest', false);

-- One row of usage: key, date, user, model, source, then what the tests add up.
insert into analytics.fct_daily_usage
select
    md5(concat_ws('|', d, u, m, s)),
    d,
    u,
    m,
    s,
    requests,
    errors,
    blocked,
    requests / 4,
    requests / 2,
    requests * 2000 + u_weight,
    requests * 28,
    case when s = 'gateway' then requests * 150 end,
    null,
    requests * 2028 + u_weight,
    case when s = 'legacy' then 2028 end,
    case when s = 'legacy' then 0 else requests - 1 end,
    case when s = 'legacy' then requests - 1 else 0 end,
    case when s = 'legacy' then 0 else 1 end,
    case when s = 'legacy' then 1 else 0 end,
    case when s = 'legacy' then requests else 0 end,
    case when d = date '2026-02-12' and u = 2 then 2 else 0 end,
    case when s <> 'legacy' then round(requests * 0.0017120 + u_weight * 0.0000008, 6) end,
    requests * 0.0017120 + u_weight * 0.0000008 + 0.00000000000000000000,
    case when s = 'legacy' then requests * 0.0017120 + u_weight * 0.0000008 end,
    0.0000008 * 500,
    case when s <> 'legacy' then
        round(requests * 0.0017120 + u_weight * 0.0000008, 6)
        - (requests * 0.0017120 + u_weight * 0.0000008)
    end,
    round(requests * 0.0017120 + u_weight * 0.0000008, 6),
    700,
    timestamptz '2026-02-12 06:00:00+00'
from (values
    (date '2026-02-10', 1, 'claude-3-5-haiku', 'chat', 400, 6, 1, 17),
    (date '2026-02-10', 2, 'claude-3-5-haiku', 'chat', 120, 2, 0, 3),
    (date '2026-02-10', null, 'claude-3-5-haiku', 'legacy', 60, 1, 0, 1),
    (date '2026-02-11', 1, 'claude-sonnet-4-5', 'gateway', 310, 0, 0, 9),
    (date '2026-02-11', 3, 'claude-3-5-haiku', 'chat', 90, 4, 2, 5),
    (date '2026-02-12', 2, 'claude-3-5-haiku', 'chat', 75, 5, 0, 7),
    (date '2026-02-12', 3, 'claude-sonnet-4-5', 'gateway', 205, 1, 0, 11),
    (date '2026-02-12', 4, 'claude-sonnet-4-5', 'gateway', 20, 0, 0, 13)
) as rows (d, u, m, s, requests, errors, blocked, u_weight);

-- Half of each row's cost called no server, the rest one or two.
insert into analytics.fct_daily_mcp_cost
select
    md5(concat_ws('|', usage_key, server)),
    usage_date,
    server,
    server = 'no server',
    llm_model,
    requests / 2,
    case when server = 'no server' then 0 else requests / 4 end,
    requests_cost_unknown,
    case when server = 'no server' then 0 else requests / 2 end,
    case
        when server = 'no server' then tokens_total - tokens_total * 4 / 10 - tokens_total / 10
        else tokens_total * tenths / 10
    end,
    null,
    cost_recorded_usd * tenths / 10,
    cost_recomputed_usd * tenths / 10,
    cost_usd * tenths / 10,
    700,
    timestamptz '2026-02-12 06:00:00+00'
from analytics.fct_daily_usage
cross join (
    values ('no server', 5), ('search', 4), ('<b>files</b>', 1)
) as servers (server, tenths);

insert into analytics.fct_daily_quota
select
    md5(concat_ws('|', d, u)),
    d,
    u,
    3,
    tokens,
    unpriced,
    used - unpriced * 0.0000008,
    unpriced * 0.0000008,
    used,
    most,
    basis,
    0.80,
    used / nullif(most, 0),
    used >= most,
    crossed::timestamptz,
    greatest(used - most, 0),
    700,
    timestamptz '2026-02-12 06:00:00+00'
from (values
    (date '2026-02-10', 1, 3.25, 12, 'override', 9000, 0, null),
    (date '2026-02-11', 1, 12.000001, 12, 'override', 31000, 0, '2026-02-11 21:59:59+00'),
    (date '2026-02-12', 2, 10.5, 10, 'default', 40000, 500, '2026-02-12 15:30:00+00'),
    (date '2026-02-12', 3, 8.25, 10, 'role', 30000, 0, null),
    (date '2026-02-12', 4, 0.02, 0, 'override', 700, 0, '2026-02-12 08:00:00+00')
) as rows (d, u, used, most, basis, tokens, unpriced, crossed);

-- One row of the bill: key, day, model, kind, settled, ledger, billed, then what explains it.
insert into analytics.fct_bill_reconciliation (
    reconciliation_key, bill_date, llm_model, token_kind, is_settled, ledger_usd, billed_usd,
    difference_usd, cause_price_usd, cause_token_count_usd, cause_cache_write_usd,
    cause_unseen_usd, cause_day_boundary_usd, cause_discount_usd, cause_list_price_usd,
    cause_tier_usd, cause_other_usd, cause_unexplained_usd
) values
    ('a', '2026-02-10', 'claude-3-5-haiku', 'input', true, 0.8, 0.95, 0.15,
     0.05, 0.2, 0, 0, -0.0000001, -0.0999999, 0, 0, 0, 0),
    ('b', '2026-02-10', 'claude-3-5-haiku', 'cache_write', true, 0, 0.07, 0.07,
     0, 0, 0.07, 0, 0, 0, 0, 0, 0, 0),
    ('c', '2026-02-11', 'claude-sonnet-4-5', 'input', false, 0.6, 0.4, -0.2,
     0, 0, 0, 0, 0, 0, -0.05, -0.15, 0, 0),
    ('d', '2026-02-11', null, 'other', false, 0, 0.03, 0.03,
     0, 0, 0, 0, 0, 0, 0, 0, 0.03, 0),
    ('e', '2026-02-11', 'nobody-knows', 'input', false, 0.01, null, null,
     0.5, 0, 0, 0, 0, 0, 0, 0, 0, null);

insert into analytics.usage_revisions values
    ('2026-02-10', 1, 'claude-3-5-haiku', 'chat',
     '{"requests": 390, "cost_recomputed_usd": 0.6676936}',
     '{"requests": 400, "cost_recomputed_usd": 0.6848136}', '2026-02-11 06:00:20+00', 'rows', null),
    ('2026-02-10', 2, 'claude-3-5-haiku', 'chat',
     null,
     '{"requests": 120, "cost_recomputed_usd": 0.2054424}', '2026-02-11 06:00:20+00', 'rows', null),
    ('2026-02-10', null, 'claude-3-5-haiku', 'legacy',
     '{"requests": 60, "cost_recomputed_usd": 0.1027208}',
     '{"requests": 60, "cost_recomputed_usd": null}', '2026-02-12 06:00:13+00', 'price', null);

insert into ledger.alerts (kind, subject, sentence, opened_at, resolved_at, told_at) values
    ('run', 'refused', 'the run of 2026-02-12 12:00 was refused: 2 rows <b>of</b> a day',
     '2026-02-12 12:01:00+00', null, '2026-02-12 12:01:02+00'),
    ('drift', 'revision', 'the schema was at revision 0013', '2026-02-09 12:00:00+00',
     '2026-02-09 13:00:00+00', '2026-02-09 12:00:30+00');

insert into analytics.fct_daily_tool_usage values
    ('t1', '2026-02-11', 'search', 'web_search', 812, 12, 3, 4, 412.5, 1930.25, 700, now()),
    ('t2', '2026-02-12', 'search', 'web_search', 640, 3, 0, 3, 398, 1507, 700, now()),
    ('t3', '2026-02-12', 'files', 'read_file', 377, 41, 0, 2, 22, 91, 700, now()),
    ('t4', '2026-02-12', 'database', 'run_query', 96, 0, 8, 2, 55, 240.75, 700, now());

insert into analytics.dim_mcp_servers (
    mcp_server_id, mcp_server_name, last_event_at, checks_verdict
) values
    (1, 'search', '2026-02-12 17:58:00+00', 'running'),
    (2, 'files', '2026-02-11 12:00:00+00', 'silent'),
    (3, 'database', '2026-02-12 17:59:00+00', 'running');

insert into analytics.fct_incidents (
    incident_key, opened_date, mcp_server_id, opened_at, closed_at, last_down_at, ended_as,
    down_seconds, checks, first_error, last_error
) values
    ('i', '2026-02-11', 1, '2026-02-11 10:00:00+00', '2026-02-11 10:30:00+00',
     '2026-02-11 10:30:00+00', 'up', 1800, 6, '=cmd|timed out after 5 s', '<i>refused</i>'),
    ('j', '2026-02-11', 2, '2026-02-11 11:50:00+00', '2026-02-11 12:00:00+00',
     '2026-02-11 12:00:00+00', 'unknown', 600, 2, 'no route', 'no route'),
    ('k', '2026-02-12', 9, '2026-02-12 17:59:59+00', null, '2026-02-12 18:00:00+00', null, 1, 1,
     null, null);

insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, day_seconds, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds, uptime_share, coverage_share, checks, checks_up, checks_down,
    checks_unknown_word, responses, p50_response_ms, p95_response_ms, p99_response_ms, incidents,
    longest_outage_seconds, objective_share, error_budget_seconds, error_budget_left_seconds,
    error_budget_left_share, built_xmin, built_at
)
select
    md5(concat_ws('|', d, server)),
    d,
    server,
    86400,
    up,
    down,
    86400 - up - down - disabled,
    disabled,
    up::numeric / nullif(up + down, 0),
    (up + down)::numeric / nullif(86400 - disabled, 0),
    (up + down) / 300,
    up / 300,
    down / 300,
    0,
    up / 300,
    case when up > 0 then 40 + extract(day from d) end,
    case when up > 0 then 180 end,
    case when up > 0 then 420.5 end,
    (down > 0)::integer,
    down,
    0.995,
    0.005 * (up + down),
    0.005 * (up + down) - down,
    1 - down / nullif(0.005 * (up + down), 0),
    700,
    timestamptz '2026-02-12 06:00:00+00'
from (values
    (date '2026-02-10', 1, 86400, 0, 0),
    (date '2026-02-11', 1, 84600, 1800, 0),
    (date '2026-02-12', 1, 86400, 0, 0),
    (date '2026-02-10', 2, 80000, 0, 0),
    (date '2026-02-11', 2, 40000, 600, 0),
    (date '2026-02-12', 2, 0, 0, 0),
    (date '2026-02-10', 3, 86400, 0, 0),
    (date '2026-02-11', 3, 43200, 0, 43200),
    (date '2026-02-12', 9, 86399, 1, 0)
) as rows (d, server, up, down, disabled);

insert into ledger.runs values
    ('00000000-0000-0000-0000-000000000001', '2026-02-11 06:00:00+00', '2026-02-11 06:00:21+00',
     'published', null, '{}'),
    ('00000000-0000-0000-0000-000000000002', '2026-02-12 06:00:00+00', '2026-02-12 06:00:14.5+00',
     'published', null, '{}'),
    ('00000000-0000-0000-0000-000000000003', '2026-02-12 12:00:00+00', '2026-02-12 12:00:11+00',
     'refused', 'fct_daily_usage: 2 rows of 2026-02-12 have more output tokens than all tokens',
     '{}');

insert into ledger.gate_results values
    ('00000000-0000-0000-0000-000000000002', 'fct_daily_usage', 'an earlier judgement', null,
     'stop', false, null, 0, '[]', '2026-02-12 06:00:12+00');

insert into ledger.gate_results
select
    uuid '00000000-0000-0000-0000-000000000003',
    suite,
    expectation,
    column_name,
    severity,
    passed,
    observed,
    unexpected_count,
    sample::jsonb,
    timestamptz '2026-02-12 12:00:10+00'
from (values
    ('audit_logs', 'expect_column_values_to_not_be_null', 'timestamp', 'stop', true, '0', 0, '[]'),
    ('audit_logs', 'expect_column_values_to_be_in_set', 'status', 'warn', false, '3 others', 3,
     '[{"id": 11}, {"id": 12}, {"id": 15}]'),
    ('fct_daily_usage', 'expect_column_values_to_be_unique', 'usage_key', 'stop', true, null, 0,
     '[]'),
    ('fct_daily_usage', 'no day is in the future', 'usage_date', 'stop', true, null, 0, '[]'),
    ('fct_daily_usage', 'total equals the sum of the split', 'tokens_total', 'stop', false,
     '2 <b>rows</b>', 2, '[{"usage_key": "a"}, {"usage_key": "b"}]'),
    ('fct_daily_health', 'seconds add up to the day', null, 'stop', true, null, 0, '[]')
) as rows (suite, expectation, column_name, severity, passed, observed, unexpected_count, sample);

insert into ledger.merge_runs (
    id, started_at, finished_at, legacy_table, rows_total, rows_copied, rows_matched,
    rows_quarantined, rows_ambiguous, users_unmapped, sums, checksum, holds, detail, shape
)
overriding system value values
    (1000, '2026-02-10 05:00:00+00', '2026-02-10 05:00:03+00', 'public.audit_logs', 1287, 1031, 251,
     5, 2, 1,
     '{"tokens_input": {"legacy": "2560051", "ledger": "2560051"},
       "tokens_output": {"legacy": "35840", "ledger": "35840"},
       "cost_estimate": {"legacy": "2.191401", "ledger": "2.191401"}}',
     'b6d81b360a5672d80c27430f39153e2c', true, null, '{}');

insert into ledger.audit_quarantine (legacy_id, reason, row, quarantined_at) values
    (31, 'created_at is empty, so the row belongs to no day', '{}', now()),
    (44, 'cost_estimate is not a number', '{}', now()),
    (45, 'cost_estimate is not a number', '{}', now()),
    (46, 'cost_estimate is not a number', '{}', now()),
    (58, 'cost_estimate is infinite', '{}', now());

comment on column analytics.fct_daily_usage.requests is 'Requests to a model.';
