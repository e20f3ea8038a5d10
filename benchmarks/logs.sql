-- %(rows)s audit rows of %(servers)s servers, some far busier than others, a fifth of them chat
-- requests that reached one to three; %(events)s health events. A word in each text is rare: one
-- row in 500,000 says it.
insert into omni2.mcp_servers (name)
select 'server ' || n from generate_series(1, %(servers)s) as n;

insert into auth_service.users (email)
select 'user' || n || '@example.com' from generate_series(1, 1000) as n;

insert into omni2.audit_logs (
    user_id, timestamp, question, mcp_target, tool_called, tool_params, success, duration_ms,
    result_summary, error_message, llm_tokens_used, mcps_accessed
)
select
    1 + n %% 1000,
    timestamptz '2026-02-12' - make_interval(secs => %(rows)s - n) * 3,
    'please ' || (array['summarise', 'compare', 'list', 'explain', 'translate'])[1 + n %% 5]
    || ' the report about ' || md5((n %% 5000)::text) || ' for the team, '
    || (array['today', 'as a table', 'in short', 'with sources'])[1 + n %% 4]
    || case when n %% 500000 = 77777 then ' and feed the wombat' else '' end,
    case when n %% 5 > 0 then 'server ' || s.target end,
    case when n %% 5 > 0 then 'tool_' || n %% 37 end,
    '{"path": "/tmp"}',
    n %% 50 > 0,
    n %% 3000,
    'done: ' || n %% 1000 || ' lines',
    case when n %% 50 = 0 then 'connection refused by upstream' end,
    case when n %% 5 = 0 then n %% 4000 end,
    case
        when n %% 5 = 0
        then (array['server ' || s.target, 'server ' || s.other, 'server ' || s.third])[: 1 + n %% 3]
    end
from generate_series(1, %(rows)s) as n
cross join lateral (
    select
        1 + floor(%(servers)s * power(random() + 0 * n, 2)) as target,
        1 + floor(%(servers)s * power(random() + 0 * n, 2)) as other,
        1 + floor(%(servers)s * random() + 0 * n) as third
) as s;

insert into omni2.mcp_health_log (
    mcp_server_id, timestamp, status, response_time_ms, event_type
)
select
    1 + n %% %(servers)s,
    timestamptz '2026-02-12' - make_interval(secs => %(events)s - n),
    case when n %% 100 = 0 then 'unhealthy' else 'healthy' end,
    n %% 900,
    'health_check'
from generate_series(1, %(events)s) as n;
