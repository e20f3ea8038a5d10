-- The old table keeps times without a zone and money as a float.

alter table public.audit_logs
alter created_at drop default,
alter created_at type timestamp without time zone using created_at at time zone 'utc',
alter created_at set default now(),
alter cost_estimate drop default,
alter cost_estimate type double precision,
alter cost_estimate set default 0,
alter message type character varying(4000),
alter tokens_input type bigint,
alter tokens_output drop default,
alter tokens_output type smallint;

create index idx_audit_logs_local on public.audit_logs (created_at desc);

insert into omni2.audit_logs (user_id, question, success, timestamp) values
(1, 'both logged this', true, '2026-02-10 10:00:01+00');

insert into auth_service.users (id, email) values (1, 'ada@example.com');

insert into public.users (email) values ('ada@example.com');

insert into public.audit_logs (user_id, message, cost_estimate, tokens_input, tokens_output, created_at)
values
(1, 'both logged this', 0.1, 4000000000, 7, '2026-02-10 10:00'),
(1, 'only here', 1e-07, 5, null, '2026-02-10 11:00:00.123456'),
(1, 'no time', 0.2, 5, 5, null),
(1, 'no cost', null, 5, 5, '2026-02-10 12:00'),
(1, 'no amount', 'NaN', 5, 5, '2026-02-10 13:00');
