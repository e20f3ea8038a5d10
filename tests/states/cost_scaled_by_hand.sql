-- Somebody added a cost with too few decimals by hand.

alter table omni2.audit_logs add cost_usd numeric(10, 4);

insert into omni2.audit_logs (question, success, cost_usd) values ('a request', true, 0.1234);

insert into public.audit_logs (message, cost_estimate, created_at) values
('a request of the other log', 0.000123, '2026-02-10 10:00+00');
