-- An installation from before the gateway.

drop schema omni2 cascade;
drop schema auth_service cascade;
insert into public.users (email) values ('ada@example.com');
insert into public.audit_logs (user_id, message, created_at) values
(1, 'a', '2026-02-10 10:00+00'), (null, 'b', '2026-02-10 11:00+00');
