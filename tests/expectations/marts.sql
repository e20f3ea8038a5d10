-- Five days of a small gateway and the marts that a right build makes of them, in plain tables:
-- what the gate and the publisher read, without migrations and dbt. The clock stands at
-- 2026-03-05 18:00 UTC. Figures are made from the raw rows by the shortest SQL that is right.

create schema omni2;

create schema ledger;

create schema analytics_build;

create table omni2.audit_logs (
    id integer primary key,
    user_id integer,
    timestamp timestamp with time zone,
    mcp_target character varying(255),
    tool_called character varying(255),
    success boolean,
    duration_ms integer,
    llm_tokens_used integer,
    was_blocked boolean,
    request_type character varying(50),
    tool_calls_count integer,
    tools_used text [],
    mcps_accessed text [],
    tokens_input integer,
    tokens_output integer,
    tokens_cached integer,
    tokens_cache_write integer,
    cost_usd numeric,
    llm_model text,
    status character varying(50),
    source_system text default 'gateway' not null,
    legacy_id integer unique,
    legacy_user_id integer,
    change_xid bigint default (pg_current_xact_id()::text::bigint)
);

create table omni2.mcp_health_log (
    id integer primary key,
    mcp_server_id integer,
    timestamp timestamp with time zone,
    status character varying(20) not null,
    event_type character varying(50),
    change_xid bigint default (pg_current_xact_id()::text::bigint)
);

create table ledger.settings (name text primary key, value text not null);

create table ledger.prunings (
    before_date date not null,
    before_at timestamp with time zone not null,
    built_xmin bigint not null
);

create table ledger.model_prices (
    model text not null,
    valid_from timestamp with time zone not null,
    valid_to timestamp with time zone,
    input numeric not null,
    output numeric not null,
    source text default 'test' not null,
    primary key (model, valid_from)
);

create table ledger.limit_history (
    user_id integer,
    valid_from timestamp with time zone not null,
    cost_limit numeric not null,
    basis text not null
);

create table ledger.deleted_days (
    source_table text not null,
    period_start timestamp with time zone not null,
    change_xid bigint default (pg_current_xact_id()::text::bigint) not null
);

create table ledger.audit_quarantine (
    legacy_id bigint primary key,
    reason text not null,
    row jsonb not null,
    quarantined_at timestamp with time zone default now() not null
);

create table ledger.runs (
    run_id uuid primary key,
    started_at timestamp with time zone default now() not null,
    finished_at timestamp with time zone,
    verdict text default 'running' not null,
    reason text,
    figures jsonb,
    versions jsonb
);

create table ledger.provider_buckets (
    fact text not null,
    bucket_start timestamp with time zone not null,
    bucket_end timestamp with time zone not null,
    import_id bigint not null,
    reported_at timestamp with time zone default now() not null,
    primary key (fact, bucket_start)
);

create table ledger.gate_results (
    run_id uuid not null,
    suite text not null,
    expectation text not null,
    column_name text,
    severity text not null,
    passed boolean not null,
    observed text,
    unexpected_count bigint,
    sample jsonb,
    judged_at timestamp with time zone default now() not null
);

create table analytics_build.fct_daily_usage (
    usage_key text primary key,
    usage_date date,
    user_id integer,
    llm_model text,
    source_system text,
    model_names text [],
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
    built_at timestamp with time zone
);

comment on table analytics_build.fct_daily_usage is
'One row per day, user, model and source.';

comment on column analytics_build.fct_daily_usage.requests is
'Chat requests of the day.';

create index on analytics_build.fct_daily_usage (usage_date);

create table analytics_build.fct_daily_quota (
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
    crossed_at timestamp with time zone,
    overspend_usd numeric,
    built_xmin bigint,
    built_at timestamp with time zone
);

create table analytics_build.fct_daily_tool_usage (
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
    built_at timestamp with time zone
);

create table analytics_build.fct_daily_mcp_cost (
    mcp_cost_key text primary key,
    usage_date date,
    mcp_server text,
    is_no_server boolean,
    llm_model text,
    model_names text [],
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
    built_at timestamp with time zone
);

create table analytics_build.fct_daily_health (
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
    built_at timestamp with time zone
);

create table analytics_build.int_health_intervals (
    health_date date,
    mcp_server_id integer,
    server_state text,
    started_at timestamp with time zone,
    ended_at timestamp with time zone
);

create table analytics_build.int_health_learnt (
    health_date date,
    mcp_server_id integer,
    learnt_interval_seconds integer
);

create table analytics_build.fct_hourly_health (
    hourly_health_key text primary key,
    health_date date,
    mcp_server_id integer,
    hour_at timestamp with time zone,
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
    built_at timestamp with time zone
);

create table analytics_build.fct_incidents (
    incident_key text primary key,
    opened_date date,
    mcp_server_id integer,
    opened_at timestamp with time zone,
    closed_at timestamp with time zone,
    last_down_at timestamp with time zone,
    ended_as text,
    down_seconds bigint,
    checks bigint,
    first_error text,
    last_error text,
    built_xmin bigint,
    built_at timestamp with time zone
);

create table analytics_build.fct_focus (
    focus_key text primary key,
    usage_date date,
    llm_model text,
    model_names jsonb,
    availability_zone text,
    billed_cost numeric,
    billing_account_id text,
    billing_account_name text,
    billing_account_type text,
    billing_currency text,
    billing_period_end timestamp with time zone,
    billing_period_start timestamp with time zone,
    capacity_reservation_id text,
    capacity_reservation_status text,
    charge_category text,
    charge_class text,
    charge_description text,
    charge_frequency text,
    charge_period_end timestamp with time zone,
    charge_period_start timestamp with time zone,
    commitment_discount_category text,
    commitment_discount_id text,
    commitment_discount_name text,
    commitment_discount_quantity numeric,
    commitment_discount_status text,
    commitment_discount_type text,
    commitment_discount_unit text,
    consumed_quantity numeric,
    consumed_unit text,
    contracted_cost numeric,
    contracted_unit_price numeric,
    effective_cost numeric,
    invoice_id text,
    invoice_issuer_name text,
    list_cost numeric,
    list_unit_price numeric,
    pricing_category text,
    pricing_currency text,
    pricing_currency_contracted_unit_price numeric,
    pricing_currency_effective_cost numeric,
    pricing_currency_list_unit_price numeric,
    pricing_quantity numeric,
    pricing_unit text,
    provider_name text,
    publisher_name text,
    region_id text,
    region_name text,
    resource_id text,
    resource_name text,
    resource_type text,
    service_category text,
    service_name text,
    service_subcategory text,
    sku_id text,
    sku_meter text,
    sku_price_details text,
    sku_price_id text,
    sub_account_id text,
    sub_account_name text,
    sub_account_type text,
    tags text,
    x_utc_date date,
    x_user_id integer,
    x_model text,
    x_source_system text,
    x_token_kind text,
    x_tokens bigint,
    x_cost_basis text,
    x_ledger_cost numeric,
    built_xmin bigint,
    built_at timestamp with time zone
);

create table analytics_build.fct_bill_reconciliation (
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
    built_at timestamp with time zone
);

create table analytics_build.dim_users (
    user_id integer primary key,
    email text,
    display_name text,
    role_name text,
    cost_limit_daily_usd numeric,
    is_active boolean,
    built_xmin bigint,
    built_at timestamp with time zone
);

create table analytics_build.dim_mcp_servers (
    mcp_server_id integer primary key,
    mcp_server_name text,
    first_event_at timestamp with time zone,
    last_event_at timestamp with time zone,
    stated_interval_seconds integer,
    check_interval_seconds integer,
    check_interval_source text,
    longest_hold_seconds integer,
    checks_verdict text,
    built_xmin bigint,
    built_at timestamp with time zone
);

create table analytics_build.build_inputs (
    mart text not null,
    input_name text not null,
    llm_model text,
    valid_from timestamp with time zone not null,
    valid_to timestamp with time zone not null,
    content text
);

create table analytics_build.control_totals (
    usage_date date primary key,
    requests bigint,
    errors bigint,
    blocked bigint,
    tool_calls bigint,
    tokens_input bigint,
    tokens_output bigint,
    tokens_cached bigint,
    tokens_cache_write bigint,
    tokens_total bigint,
    cost_recorded_usd numeric,
    built_xmin bigint
);

insert into ledger.settings (name, value)
values ('as_of', '2026-03-05 18:00:00+00'), ('default_model', 'haiku'), ('reporting_timezone', 'UTC');

insert into analytics_build.build_inputs (mart, input_name, llm_model, valid_from, valid_to, content)
select
    mart,
    input_name,
    llm_model,
    '-infinity',
    'infinity',
    content
from (values ('fct_daily_usage'), ('fct_daily_mcp_cost'), ('fct_focus')) as marts (mart)
cross join (
    values
    ('default_model', null, 'haiku'),
    ('model_prices', 'haiku', '0.80 4.00 null null 0.80 4.00 null null'),
    ('model_prices', 'sonnet', '3.00 15.00 null null 3.00 15.00 null null'),
    ('model_names', '', md5('haiku haiku sonnet sonnet'))
) as inputs (input_name, llm_model, content);

insert into ledger.limit_history (user_id, valid_from, cost_limit, basis)
values (null, '-infinity', 10, 'default');

insert into ledger.model_prices (model, valid_from, input, output)
values ('haiku', '-infinity', 0.80, 4.00), ('sonnet', '-infinity', 3.00, 15.00);

-- Requests 1 to 60, twelve a day, by users 1 and 2; every fourth says neither cost nor total.
insert into omni2.audit_logs (
    id, user_id, timestamp, success, request_type, mcps_accessed, tokens_input, tokens_output, tokens_cached,
    llm_tokens_used, cost_usd, llm_model, status, source_system, legacy_id
)
select
    n,
    1 + n % 2,
    timestamptz '2026-03-01 00:30+00' + (n - 1) * interval '2 hours',
    true,
    'chat',
    case n % 3 when 1 then array['files'] when 2 then array['files', 'search'] end,
    100 * n,
    10 * n,
    0,
    case when n % 4 <> 0 then 110 * n end,
    case when n % 4 <> 0 then (100 * n * 0.80 + 10 * n * 4.00) / 1000000 end,
    case when n % 2 = 0 then 'haiku' else 'sonnet' end,
    'success',
    'legacy',
    n
from generate_series(1, 57) as n;

-- Tool calls 101 to 130, six a day.
insert into omni2.audit_logs (
    id, user_id, timestamp, mcp_target, tool_called, success, duration_ms
)
select
    100 + n,
    1 + n % 2,
    timestamptz '2026-03-01 01:00+00' + (n - 1) * interval '4 hours',
    case when n % 3 = 0 then 'files' else 'search' end,
    'read',
    n % 5 <> 0,
    10 * n
from generate_series(1, 28) as n;

insert into omni2.mcp_health_log (id, mcp_server_id, timestamp, status, event_type)
select
    n,
    1 + n % 2,
    timestamptz '2026-03-01 00:00+00' + n * interval '1 hour',
    case when n between 40 and 44 then 'timeout' else 'healthy' end,
    'health_check'
from generate_series(1, 113) as n;

insert into analytics_build.fct_daily_usage
select
    md5(concat_ws('|', usage_date, user_id, llm_model, source_system)),
    usage_date,
    user_id,
    llm_model,
    source_system,
    array[llm_model],
    count(*) filter (where tool_called is null),
    0,
    0,
    count(tool_called),
    0,
    coalesce(sum(tokens_input), 0),
    coalesce(sum(tokens_output), 0),
    coalesce(sum(tokens_cached), 0),
    0,
    coalesce(sum(tokens_total), 0),
    null,
    count(cost_usd),
    count(tokens_input) filter (where cost_usd is null),
    0,
    0,
    0,
    0,
    sum(cost_usd),
    sum(recomputed),
    sum(recomputed) filter (where cost_usd is null),
    null,
    sum(cost_usd - recomputed),
    sum(coalesce(cost_usd, recomputed)),
    -- The next transaction: every row above is older than it.
    pg_current_xact_id()::text::bigint + 1,
    timestamptz '2026-03-05 18:00+00'
from (
    select
        a.id,
        a.user_id,
        a.source_system,
        a.tool_called,
        a.tokens_input,
        a.tokens_output,
        a.tokens_cached,
        coalesce(a.llm_tokens_used, a.tokens_input + a.tokens_output) as tokens_total,
        a.cost_usd,
        (a.timestamp at time zone 'UTC')::date as usage_date,
        coalesce(a.llm_model, 'haiku') as llm_model,
        (a.tokens_input * p.input + a.tokens_output * p.output) / 1000000 as recomputed
    from omni2.audit_logs as a
    inner join ledger.model_prices as p on coalesce(a.llm_model, 'haiku') = p.model
) as priced
group by usage_date, user_id, llm_model, source_system;

insert into analytics_build.fct_daily_quota
select
    md5(concat_ws('|', usage_date, user_id)),
    usage_date,
    user_id,
    rows_counted,
    tokens_used,
    0,
    cost_usd,
    0,
    cost_usd,
    10,
    'default',
    0.80,
    cost_usd / 10,
    false,
    null,
    0,
    pg_current_xact_id()::text::bigint + 1,
    timestamptz '2026-03-05 18:00+00'
from (
    select
        (timestamp at time zone 'UTC')::date as usage_date,
        user_id,
        count(*) as rows_counted,
        coalesce(sum(llm_tokens_used), 0) as tokens_used,
        coalesce(sum(cost_usd), 0) as cost_usd
    from omni2.audit_logs
    where success
    group by 1, 2
) as used;

insert into analytics_build.control_totals
select
    (timestamp at time zone 'UTC')::date,
    count(*) filter (where tool_called is null),
    0,
    0,
    count(tool_called),
    coalesce(sum(tokens_input), 0),
    coalesce(sum(tokens_output), 0),
    coalesce(sum(tokens_cached), 0),
    coalesce(sum(tokens_cache_write), 0),
    coalesce(sum(coalesce(llm_tokens_used, tokens_input + tokens_output)), 0),
    sum(cost_usd),
    700
from omni2.audit_logs
group by 1;

insert into analytics_build.fct_daily_tool_usage
select
    md5(concat_ws('|', (timestamp at time zone 'UTC')::date, mcp_target, tool_called)),
    (timestamp at time zone 'UTC')::date,
    mcp_target,
    tool_called,
    count(*),
    count(*) filter (where not success),
    0,
    count(distinct user_id),
    percentile_cont(0.5) within group (order by duration_ms)::numeric,
    percentile_cont(0.95) within group (order by duration_ms)::numeric,
    pg_current_xact_id()::text::bigint + 1,
    timestamptz '2026-03-05 18:00+00'
from omni2.audit_logs
where tool_called is not null
group by (timestamp at time zone 'UTC')::date, mcp_target, tool_called;

-- A third of the requests called no server, a third `files`, a third `files` and `search`, half each.
insert into analytics_build.fct_daily_mcp_cost
select
    md5(concat_ws('|', (a.timestamp at time zone 'UTC')::date, s.server, a.llm_model)),
    (a.timestamp at time zone 'UTC')::date,
    s.server,
    s.server = 'no server',
    a.llm_model,
    array[a.llm_model],
    count(*),
    count(*) filter (where s.share < 1),
    0,
    count(*) filter (where s.server <> 'no server'),
    sum(coalesce(a.llm_tokens_used, a.tokens_input + a.tokens_output) * s.share)::bigint,
    null,
    sum(a.cost_usd * s.share),
    sum((a.tokens_input * p.input + a.tokens_output * p.output) / 1000000 * s.share),
    sum(coalesce(a.cost_usd, (a.tokens_input * p.input + a.tokens_output * p.output) / 1000000) * s.share),
    pg_current_xact_id()::text::bigint + 1,
    timestamptz '2026-03-05 18:00+00'
from omni2.audit_logs as a
inner join ledger.model_prices as p on a.llm_model = p.model
inner join (
    values (0, 'no server', 1), (1, 'files', 1), (2, 'files', 0.5), (2, 'search', 0.5)
) as s (third, server, share) on a.id % 3 = s.third
group by (a.timestamp at time zone 'UTC')::date, s.server, a.llm_model;

insert into analytics_build.fct_daily_health
select
    md5(concat_ws('|', day::date, server)),
    day::date,
    server,
    day_seconds,
    null,
    3600,
    'learnt',
    day_seconds - 10800,
    7200,
    3600,
    0,
    (day_seconds - 10800)::numeric / (day_seconds - 3600),
    (day_seconds - 3600)::numeric / day_seconds,
    12,
    10,
    2,
    0,
    0,
    2,
    0,
    0,
    0,
    0,
    12,
    0,
    20,
    40,
    60,
    1,
    1,
    7200,
    7200,
    day_seconds - 10800,
    0.995,
    (day_seconds - 3600) * 0.005,
    (day_seconds - 3600) * 0.005 - 7200,
    1 - burn_rate,
    burn_rate,
    'down',
    jsonb_build_array(
        jsonb_build_object(
            'start_epoch', extract(epoch from day at time zone 'UTC')::bigint,
            'seconds', 7200,
            'checks', 2,
            'is_continued', false,
            'next_state', 'unknown'
        )
    ),
    pg_current_xact_id()::text::bigint + 1,
    timestamptz '2026-03-05 18:00+00'
from
    generate_series(timestamp '2026-03-01', timestamp '2026-03-05', interval '1 day') as day
cross join (values (1), (2)) as servers (server)
cross join lateral (
    select case when day::date = '2026-03-05' then 64800 else 86400 end as day_seconds
) as length
cross join lateral (select round(7200 / ((day_seconds - 3600) * 0.005), 9) as burn_rate) as burnt;

-- The bill: each kind of tokens of each row, at its price; the provider charges as much for the first day.
insert into analytics_build.fct_focus (
    focus_key,
    usage_date,
    llm_model,
    model_names,
    billed_cost,
    billing_account_id,
    billing_currency,
    billing_period_end,
    billing_period_start,
    charge_category,
    charge_frequency,
    charge_period_end,
    charge_period_start,
    consumed_quantity,
    consumed_unit,
    contracted_cost,
    contracted_unit_price,
    effective_cost,
    invoice_issuer_name,
    list_cost,
    list_unit_price,
    pricing_currency,
    pricing_currency_contracted_unit_price,
    pricing_currency_effective_cost,
    pricing_currency_list_unit_price,
    pricing_quantity,
    pricing_unit,
    provider_name,
    publisher_name,
    service_category,
    service_name,
    service_subcategory,
    x_utc_date,
    x_user_id,
    x_model,
    x_source_system,
    x_token_kind,
    x_tokens,
    x_cost_basis,
    x_ledger_cost,
    built_xmin,
    built_at
)
select
    md5(concat_ws('|', usage_key, kind)),
    usage_date,
    llm_model,
    jsonb_build_array(llm_model),
    cost,
    'omniledger',
    'USD',
    timestamptz '2026-04-01 00:00+00',
    timestamptz '2026-03-01 00:00+00',
    'Usage',
    'Usage-Based',
    (usage_date + 1)::timestamp at time zone 'UTC',
    usage_date::timestamp at time zone 'UTC',
    tokens,
    'Tokens',
    cost,
    price,
    cost,
    'Anthropic',
    cost,
    price,
    'USD',
    price,
    cost,
    price,
    tokens::numeric / 1000000,
    '1000000 Tokens',
    'Anthropic',
    'Anthropic',
    'AI and Machine Learning',
    'Anthropic API',
    'Generative AI',
    usage_date,
    user_id,
    llm_model,
    source_system,
    kind,
    tokens,
    'computed',
    case when kind = 'input' then cost_usd else 0 end,
    built_xmin,
    built_at
from (
    select
        u.*,
        k.kind,
        k.tokens,
        k.price,
        k.tokens * k.price / 1000000 as cost
    from analytics_build.fct_daily_usage as u
    inner join ledger.model_prices as p on u.llm_model = p.model
    cross join lateral (
        values ('input', u.tokens_input, p.input), ('output', u.tokens_output, p.output)
    ) as k (kind, tokens, price)
) as charges
where tokens > 0;

insert into ledger.provider_buckets (fact, bucket_start, bucket_end, import_id, reported_at)
values ('cost', '2026-03-01 00:00+00', '2026-03-02 00:00+00', 1, '2026-03-03 00:00+00');

insert into analytics_build.fct_bill_reconciliation
select
    md5(concat_ws('|', usage_date, x_model, x_token_kind)),
    usage_date,
    x_model,
    x_token_kind,
    true,
    true,
    true,
    sum(x_tokens),
    sum(x_tokens),
    0,
    sum(x_ledger_cost),
    sum(x_ledger_cost),
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    700,
    timestamptz '2026-03-05 18:00+00'
from analytics_build.fct_focus
where usage_date = '2026-03-01'
group by usage_date, x_model, x_token_kind;

insert into analytics_build.int_health_learnt
select
    health_date,
    mcp_server_id,
    check_interval_seconds
from analytics_build.fct_daily_health;

-- Each day is down in its first two hours, and nobody knows about the third.
insert into analytics_build.int_health_intervals
select
    health_date,
    mcp_server_id,
    server_state,
    health_date::timestamp at time zone 'UTC' + since * interval '1 second',
    health_date::timestamp at time zone 'UTC' + least(until, day_seconds) * interval '1 second'
from analytics_build.fct_daily_health
cross join (
    values ('down', 0, 7200), ('unknown', 7200, 10800), ('up', 10800, 86400)
) as states (server_state, since, until);

insert into analytics_build.fct_hourly_health
select
    md5(concat_ws('|', hour_at, mcp_server_id)),
    health_date,
    mcp_server_id,
    hour_at,
    3600,
    day_seconds,
    null,
    case when nth > 3 then 3600 else 0 end,
    case when nth <= 2 then 3600 else 0 end,
    case when nth = 3 then 3600 else 0 end,
    0,
    case when nth = 1 then checks else 0 end,
    case when nth = 1 then checks_down else 0 end,
    case when nth = 1 then 20 end,
    case when nth = 1 then 40 end,
    case when nth = 1 then 60 end,
    built_xmin,
    built_at
from analytics_build.fct_daily_health
cross join lateral generate_series(
    health_date::timestamp at time zone 'UTC',
    health_date::timestamp at time zone 'UTC' + (day_seconds - 1) * interval '1 second',
    interval '1 hour'
) with ordinality as hours (hour_at, nth);

insert into analytics_build.fct_incidents
select
    md5(concat_ws('|', 'incident', health_date, mcp_server_id)),
    health_date,
    mcp_server_id,
    health_date::timestamp at time zone 'UTC',
    health_date::timestamp at time zone 'UTC' + interval '2 hours',
    health_date::timestamp at time zone 'UTC' + interval '2 hours',
    'unknown',
    7200,
    2,
    'no answer',
    'no answer',
    built_xmin,
    built_at
from analytics_build.fct_daily_health;

insert into analytics_build.dim_users
values
    (1, 'ada@example.org', 'Ada', 'engineer', 10.00, true, 700, '2026-03-05 18:00+00'),
    (2, 'bob@example.org', 'Bob', 'guest', 5.00, true, 700, '2026-03-05 18:00+00');

insert into analytics_build.dim_mcp_servers
values
    (
        1, 'search', '2026-03-01 02:00+00', '2026-03-05 16:00+00', null, 3600, 'learnt', 64800, 'running',
        700, '2026-03-05 18:00+00'
    ),
    (
        2, 'files', '2026-03-01 01:00+00', '2026-03-05 17:00+00', null, 3600, 'learnt', 64800, 'running',
        700, '2026-03-05 18:00+00'
    );
