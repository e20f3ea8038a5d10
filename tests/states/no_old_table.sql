-- A gateway whose chat writer never wrote.

drop table public.audit_logs;
insert into omni2.audit_logs (question, success) values ('a tool call', true);
