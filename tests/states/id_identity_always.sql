-- The old id is an identity, always.

alter table public.audit_logs alter id drop default;
drop sequence public.audit_logs_id_seq;
alter table public.audit_logs alter id add generated always as identity;
insert into public.audit_logs (message, created_at) values ('a', '2026-02-10 10:00+00');
