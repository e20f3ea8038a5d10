-- The application counts the old ids itself, and they are small.

alter table public.audit_logs alter id drop default, alter id type smallint;
drop sequence public.audit_logs_id_seq;
insert into public.audit_logs (id, message, created_at) values
(-5, 'a', '2026-02-10 10:00+00'), (32767, 'b', '2026-02-10 10:00+00');
