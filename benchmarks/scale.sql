-- A year of a gateway, up to now, on top of users.sql: `benchmark.rows` rows, half of them
-- in each log, every twentieth request in both, and half as many health checks. 1,000 users with
-- other ids in each space, 200 servers.

insert into omni2.mcp_servers (name)
select 'server_' || i
from generate_series(0, 199) as i;

insert into public.audit_logs (
    user_id, message, iterations, tool_calls_count, tools_used, mcps_accessed, duration_ms,
    tokens_input, tokens_output, tokens_cached, cost_estimate, status, success, created_at
)
select
    1 + i % 1000,
    'Request ' || i || ': ' || repeat(md5(i::text), 5),
    1 + i % 5,
    i % 4,
    array['tool_' || i % 40, 'tool_' || i % 7],
    array['server_' || i % 200],
    100 + i * 7919 % 30000,
    200 + i * 31 % 4000,
    20 + i * 17 % 900,
    i * 13 % 2000,
    (i * 7 % 9000) * 0.000001,
    case when i % 50 = 0 then 'error' else 'success' end,
    i % 50 <> 0,
    now() - i * interval '1 year' / (current_setting('benchmark.rows')::bigint / 2)
from generate_series(current_setting('benchmark.rows')::bigint / 2, 1, -1) as i;

insert into omni2.audit_logs (
    user_id, timestamp, question, mcp_target, tool_called, tool_params, success, duration_ms,
    result_summary, llm_tokens_used
)
select
    1001 - (1 + i % 1000),
    now() - i * interval '1 year' / (current_setting('benchmark.rows')::bigint / 2)
    + interval '1 second',
    case when i % 20 = 0 then 'Request ' else 'Call ' end
    || i || ': ' || repeat(md5(i::text), 5),
    'server_' || i % 200,
    'tool_' || i % 40,
    jsonb_build_object('path', '/data/' || i, 'limit', i % 100),
    i % 33 <> 0,
    5 + i * 7919 % 3000,
    case when i % 100000 = 7 then 'a wombat' else repeat(md5((i + 2)::text), 3) end,
    case when i % 2 = 0 then i % 5000 end
from generate_series(current_setting('benchmark.rows')::bigint / 2, 1, -1) as i;

insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, response_time_ms, event_type)
select
    1 + i % 200,
    now() - i * interval '1 year' / (current_setting('benchmark.rows')::bigint / 2),
    case when i % 1009 < 3 then 'timeout' else 'healthy' end,
    5 + i * 31 % 400,
    'health_check'
from generate_series(current_setting('benchmark.rows')::bigint / 2, 1, -1) as i;
