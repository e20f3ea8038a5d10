-- Both logs of a busy gateway, `benchmark.rows` rows each, on top of users.sql: a row
-- every half a minute, every twentieth request in both logs, 1,000 users with other ids in each
-- space. The setting is given by benchmarks/merge.py.

insert into public.audit_logs (
    user_id, request_type, message, message_preview, iterations, tool_calls_count, tools_used,
    mcps_accessed, duration_ms, tokens_input, tokens_output, tokens_cached, cost_estimate, status,
    response_preview, ip_address, user_agent, slack_user_id, slack_channel, success, created_at
)
select
    1 + i % 1000,
    (array['chat', 'slack', 'api'])[1 + i % 3],
    'Request ' || i || ': ' || repeat(md5(i::text), 5),
    left(md5(i::text), 20),
    1 + i % 5,
    i % 4,
    array['tool_' || i % 40, 'tool_' || i % 7],
    array['server_' || i % 12],
    100 + i * 7919 % 30000,
    200 + i * 31 % 4000,
    20 + i * 17 % 900,
    i * 13 % 2000,
    (i * 7 % 90000) * 0.000001,
    case when i % 50 = 0 then 'error' else 'success' end,
    repeat(md5((i + 1)::text), 4),
    '10.1.0.0'::inet + i % 60000,
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    'U' || i % 1000,
    'C' || i % 100,
    i % 50 <> 0,
    '2026-01-01 00:00+00'::timestamptz + i * interval '30 seconds'
from generate_series(1, current_setting('benchmark.rows')::bigint) as i;

insert into omni2.audit_logs (
    user_id, timestamp, question, mcp_target, tool_called, tool_params, success, duration_ms,
    result_summary, llm_tokens_used, ip_address, user_agent, was_blocked
)
select
    1000 - i % 1000,
    '2026-01-01 00:00:01+00'::timestamptz + i * interval '30 seconds',
    case when i % 20 = 0 then 'Request ' else 'Call ' end
    || i || ': ' || repeat(md5(i::text), 5),
    'server_' || i % 12,
    'tool_' || i % 40,
    jsonb_build_object('path', '/data/' || i, 'limit', i % 100),
    i % 33 <> 0,
    5 + i * 7919 % 3000,
    repeat(md5((i + 2)::text), 3),
    case when i % 2 = 0 then i % 5000 end,
    '10.1.0.0'::inet + i % 60000,
    'omni2/1.4',
    i % 500 = 0
from generate_series(1, current_setting('benchmark.rows')::bigint) as i;

-- With those of samples/gateway.sql, 15 indexes on the old table and 8 on the gateway's.
create index on public.audit_logs (user_id, created_at desc);
create index on public.audit_logs (request_type);
create index on public.audit_logs (status);
create index on public.audit_logs (success);
create index on public.audit_logs (slack_user_id);
create index on public.audit_logs (slack_channel);
create index on public.audit_logs (duration_ms);
create index on public.audit_logs (cost_estimate);
create index on public.audit_logs (tokens_input);
create index on public.audit_logs (message_preview);
create index on public.audit_logs (ip_address);
create index on public.audit_logs using gin (tools_used);
create index on public.audit_logs using gin (mcps_accessed);
create index on omni2.audit_logs (slack_user_id);

