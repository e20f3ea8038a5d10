-- The investigation's case, small: both tables, with every fate that an old row can have.
-- User 1 of the old name is another person than user 1 of the gateway.

insert into auth_service.roles (id, name, cost_limit_daily) values (1, 'user', 10.00);

insert into auth_service.users (id, username, name, email, role_id) values
(1, 'idle', 'Idle Admin', 'idle@example.com', 1),
(2, 'ada', 'Ada', 'Ada@Example.com', 1),
(3, 'bob', 'Bob', 'bob@example.com', 1),
(4, 'twin', 'Twin One', 'twin@example.com', 1),
(5, 'twin2', 'Twin Two', 'twin@example.com', 1);

insert into public.users (id, email, name) values
(1, ' ada@example.com', 'Ada'),
(2, 'bob@example.com', 'Bob'),
(3, 'nobody@example.com', 'Nobody'),
(4, 'twin@example.com', 'Twin');

insert into omni2.mcp_servers (id, name) values (1, 'files'), (2, 'search');

insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type) values
(1, '2026-02-10 10:00+00', 'healthy', 'health_check'),
(1, '2026-02-10 10:05+00', 'unhealthy', 'health_check'),
(1, '2026-02-10 10:10+00', 'healthy', 'health_check');

insert into omni2.audit_logs
(id, user_id, timestamp, question, mcp_target, tool_called, success, llm_tokens_used) values
(1, 2, '2026-02-10 10:00:02+00', 'both logged this', null, null, true, 1100),
(2, 2, '2026-02-10 10:00:00+00', 'a tool call', 'files', 'read', true, null),
(3, 3, '2026-02-10 10:10:00+00', 'two to choose from', null, null, true, null),
(4, 3, '2026-02-10 10:10:03+00', 'two to choose from', null, null, true, null),
(5, 2, '2026-02-10 11:00:06+00', 'too far apart', null, null, true, 7),
(6, 3, '2026-02-10 10:00:00+00', 'both logged this', null, null, true, 5);

insert into public.audit_logs
(id, user_id, message, tokens_input, tokens_output, tokens_cached, cost_estimate, success,
    created_at, tools_used, mcps_accessed) values
(101, 1, 'both logged this', 1000, 100, 0, 0.001200, true, '2026-02-10 10:00:00+00', '{read}',
    '{files}'),
(102, 2, 'only the chat log has this', 10, 1, 5, 0.000012, true, '2026-02-10 10:05:00+00', null,
    null),
(103, 2, 'two to choose from', 20, 2, null, 0.000024, true, '2026-02-10 10:10:01+00', null, null),
(104, 1, 'too far apart', 30, 3, 0, 0.000036, false, '2026-02-10 11:00:00+00', null, null),
(105, 3, 'nobody knows this user', 40, 4, 0, 0.000048, true, '2026-02-10 12:00:00+00', null, null),
(106, null, 'no user at all', 50, 5, 0, 0.000060, true, '2026-02-10 12:01:00+00', null, null),
(107, 1, 'no time', 60, 6, 0, 0.000072, true, null, null, null),
(108, 1, 'a cost that is no number', 70, 7, 0, 'NaN', true, '2026-02-10 12:02:00+00', null, null),
(109, 2, 'odd, but carried', -5, 1, 0, 0.000004, true, '2026-02-10 12:03:00+00', null, null),
(110, 4, 'one of two twins', 80, 8, 0, 0.000096, true, '2026-02-10 12:04:00+00', null, null),
(111, 2, null, null, null, null, null, null, '2026-02-10 12:05:00+00', null, null);

select setval('public.audit_logs_id_seq', 111);

select setval('omni2.audit_logs_id_seq', 6);
