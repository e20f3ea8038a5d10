-- The chat writer finds its table through a search path of its own.

create schema chat;
alter table public.audit_logs set schema chat;
insert into chat.audit_logs (message, created_at) values ('a', '2026-02-10 10:00+00');
