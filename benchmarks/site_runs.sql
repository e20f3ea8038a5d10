-- What a year of daily runs leaves beside its figures: twelve runs with their steps, their models and
-- 149 verdicts each, a merge certificate, alerts that last, and figures that were published anew.

insert into ledger.runs (run_id, started_at, finished_at, verdict, reason, figures)
select
    md5('run ' || n)::uuid, began, began + interval '75 seconds',
    case when n = 3 then 'refused' else 'published' end,
    case when n = 3 then 'fct_daily_usage: 2 rows have more output tokens than all tokens' end, '{}'
from generate_series(1, 12) as n
cross join lateral (select timestamptz '2026-03-01 06:00+00' - n * interval '1 day' as began) as made;

insert into ledger.run_steps (run_id, step, started_at, seconds, rows, detail)
select runs.run_id, step, runs.started_at + place * interval '1 second', 0.115 + place, rows, detail
from ledger.runs
cross join (values
    (1, 'prices loaded', null, 'genai-prices 0.2.3, 287 new, 0 changed'),
    (2, 'people and limits noted', null, null),
    (3, 'models built', null, '47 models'),
    (4, 'figures judged', null, '149 expectations'),
    (5, 'figures published', 22000, '22,000 rows of days that changed'),
    (6, 'model docs written', null, null),
    (7, 'site built', null, null)
) as steps (place, step, rows, detail);

insert into ledger.run_steps (run_id, step, part, started_at, seconds, rows)
select
    runs.run_id, 'models built', relname, runs.started_at,
    (hashint8(extract(epoch from runs.started_at)::bigint + c.oid::bigint) & 8191) / 1000.0,
    case when c.relkind = 'r' then 22000 end
from ledger.runs
cross join pg_catalog.pg_class as c
where c.relnamespace = 'analytics_build'::regnamespace and c.relkind in ('r', 'v');

-- One expectation in five warns now and then.
insert into ledger.gate_results (
    run_id, suite, expectation, column_name, severity, passed, observed, unexpected_count, sample,
    judged_at
)
select
    runs.run_id, 'fct_daily_suite_' || n % 18, 'Rule ' || n || ' holds for every row of each day',
    case when n % 3 > 0 then 'column_of_rule_' || n end, case when n % 5 = 0 then 'warn' else 'stop' end,
    broken = 0, case when broken = 0 then 'no row breaks it' else broken || ' rows break it' end, broken,
    '[{"usage_key": "a"}]', runs.finished_at
from ledger.runs
cross join generate_series(1, 149) as n
cross join lateral (
    select
        case
            when n % 5 = 0 then hashint8(n + extract(epoch from runs.started_at)::bigint) & 1
            when n = 1 and runs.verdict = 'refused' then 2
            else 0
        end as broken
) as made;

insert into ledger.merge_runs (
    started_at, finished_at, legacy_table, rows_total, rows_copied, rows_matched, rows_quarantined,
    rows_ambiguous, users_unmapped, sums, checksum, holds, shape
) values (
    '2026-02-01 05:00+00', '2026-02-01 05:03+00', 'public.audit_logs', 1287000, 1031000, 255997, 3, 2,
    1,
    '{"tokens_input": {"legacy": "2560051000", "ledger": "2560051000"},
      "tokens_output": {"legacy": "35840000", "ledger": "35840000"},
      "tokens_cached": {"legacy": "120000", "ledger": "120000"},
      "cost_estimate": {"legacy": "2191.401", "ledger": "2191.401"}}',
    'b6d81b360a5672d80c27430f39153e2c', true, '{}'
);

insert into ledger.audit_quarantine (legacy_id, reason, row)
values (31, 'created_at is empty, so the row belongs to no day', '{}'),
    (44, 'cost_estimate is not a number', '{}'), (58, 'cost_estimate is infinite', '{}');

insert into ledger.alerts (kind, subject, sentence, opened_at, told_at)
select
    'quota', 'user ' || n, 'User ' || n || ' has spent $0.1712 of $0.16 today',
    timestamptz '2026-03-01' - n * interval '1 hour', timestamptz '2026-03-01' - n * interval '1 hour'
from generate_series(1, 30) as n;

create table analytics.usage_revisions (
    usage_date date not null,
    user_id integer,
    llm_model text not null,
    source_system text not null,
    old jsonb,
    new jsonb,
    revised_at timestamptz not null,
    reason text not null
);

insert into analytics.usage_revisions (
    usage_date, user_id, llm_model, source_system, old, new, revised_at, reason
)
select
    usage_date, user_id, llm_model, source_system,
    jsonb_build_object('requests', requests, 'cost_recomputed_usd', cost_recomputed_usd),
    jsonb_build_object('requests', requests + 1, 'cost_recomputed_usd', cost_recomputed_usd * 1.1),
    usage_date + interval '30 hours', case user_id % 3 when 0 then 'price' else 'rows' end
from analytics.fct_daily_usage
where user_id <= 20 and usage_date > date '2026-03-01' - 60;

insert into analytics.fct_daily_mcp_cost (
    mcp_cost_key, usage_date, mcp_server, is_no_server, requests, requests_shared, calls,
    tokens_total, cost_recomputed_usd, cost_recorded_usd
)
select
    day || '-' || n, date '2026-03-01' - day, case when n > 0 then 'server ' || n else 'no server' end,
    n = 0, 300 + n, 30, case when n > 0 then 350 + n else 0 end, 900000 + n * day, 0.123456789 * (n + 1),
    0.123457 * (n + 1)
from generate_series(1, 365) as day
cross join generate_series(0, 50) as n;
