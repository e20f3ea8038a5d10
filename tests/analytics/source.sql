-- A gateway's week: users with roles, two MCP servers, requests of several models, checks.
insert into auth_service.roles (id, name, cost_limit_daily) values (1, 'reader', 0.02), (2, 'admin', 50);

insert into auth_service.users (id, username, name, email, role_id)
select n, 'user' || n, 'User ' || n, 'user' || n || '@example.org', 1 + n % 2
from generate_series(1, 5) as n;

insert into omni2.mcp_servers (id, name) values (1, 'files'), (2, 'search');

insert into omni2.audit_logs (
    timestamp, user_id, question, success, status, duration_ms, mcp_target, tool_called,
    mcps_accessed, tools_used, llm_model, tokens_input, tokens_output, tokens_cached
)
select
    timestamptz '2026-03-01 00:07+00' + n * interval '19 minutes',
    1 + n % 5,
    'What is ' || n || '?',
    n % 11 <> 0,
    case when n % 11 = 0 then 'error' else 'success' end,
    n * 7 % 900,
    case when n % 3 = 0 then 'files' end,
    case when n % 9 = 0 then 'read' end,
    case when n % 4 = 0 then array['files', 'search'] end,
    case when n % 4 = 0 then array['files.read', 'search.find'] end,
    (array['claude-3-5-haiku', 'claude-sonnet-4-5', null])[1 + n % 3],
    n * 13 % 4000,
    n * 5 % 700,
    case when n % 2 = 0 then n * 3 % 900 end
from generate_series(1, 400) as n;

insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type, response_time_ms)
select
    1 + n % 2,
    timestamptz '2026-03-01 00:00+00' + n * interval '10 minutes',
    case when n % 50 < 3 then 'timeout' else 'healthy' end,
    'health_check',
    40 + n % 60
from generate_series(1, 700) as n;

insert into ledger.settings values ('as_of', '2026-03-06 12:00:00+00');

select ledger.refresh_limits(), ledger.note_limits();
