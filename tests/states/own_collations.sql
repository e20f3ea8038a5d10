-- Columns that are compared, each with a collation of its own.

alter table public.audit_logs alter message type text collate "POSIX";
alter table omni2.audit_logs alter question type text collate "C";
alter table public.users alter email type text collate "POSIX";
alter table auth_service.users alter email type text collate "C";

insert into auth_service.users (id, username, name, email) values (1, 'ada', 'Ada', 'Ada@example.com');
insert into public.users (id, email, name) values (7, 'ada@example.com', 'Ada');

insert into omni2.audit_logs (id, user_id, timestamp, question, success) values
(1, 1, '2026-02-10 10:00:01+00', 'both logged this', true);

insert into public.audit_logs (id, user_id, message, created_at, cost_estimate) values
(1, 7, 'both logged this', '2026-02-10 10:00:00+00', 0.5),
(2, 7, 'only here', '2026-02-10 10:05:00+00', 0.25);

select setval('public.audit_logs_id_seq', 2);

select setval('omni2.audit_logs_id_seq', 1);
