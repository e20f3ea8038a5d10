-- Somebody added columns to the gateway's log by hand: money as a float, narrow and wide tokens.

alter table omni2.audit_logs
add cost_usd double precision default 0 not null,
add tokens_input smallint,
add tokens_output bigint,
add tokens_cached double precision,
add status character varying(20),
add warning text;

create view omni2.costs as select user_id, sum(cost_usd) as cost from omni2.audit_logs group by 1;

insert into omni2.audit_logs (question, success, cost_usd, tokens_input, tokens_output, status) values
('a third', true, 0.1, 3, 3000000000, 'fine'),
('tiny', true, 1e-07, null, null, null),
('a number that no float is', true, 0.30000000000000004, 5, 6, null),
('not a number', true, 'NaN', 5, 6, null);

insert into public.audit_logs (message, cost_estimate, tokens_input, status, created_at) values
('a request', 0.000123, 70000, 'a status of more than twenty letters', '2026-02-10 10:00+00');
