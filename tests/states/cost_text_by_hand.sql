-- Somebody added a cost as text by hand, and a real one lies in the old table.

alter table omni2.audit_logs add cost_usd text;

alter table public.audit_logs alter cost_estimate drop default, alter cost_estimate type real;

insert into omni2.audit_logs (question, success, cost_usd) values
('a number', true, ' 0.25 '), ('words', true, 'about a dollar'), ('nothing', true, null);

insert into public.audit_logs (message, cost_estimate, created_at) values
('a request of the other log', 0.1, '2026-02-10 10:00+00'),
('endless', 'Infinity', '2026-02-10 11:00+00');
