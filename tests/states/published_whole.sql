-- Every table is replicated, whatever it is called.

create publication everything for all tables;
insert into public.audit_logs (message, created_at) values ('a', '2026-02-10 10:00+00');
