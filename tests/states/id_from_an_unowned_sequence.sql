-- The old ids come from a sequence that nobody owns, and are beyond four bytes.

alter table public.audit_logs alter id drop default;
drop sequence public.audit_logs_id_seq;
create sequence public.request_numbers start 5000000001;
alter table public.audit_logs alter id type bigint, alter id set default nextval('request_numbers');
insert into public.audit_logs (message, created_at) values
('a', '2026-02-10 10:00+00'), ('b', '2026-02-10 10:00+00');
