-- An old table of the first days: a question, a time, no user, no message, no tokens.

drop table public.audit_logs;

create table public.audit_logs (
    id serial primary key, question text, timestamp timestamp with time zone default now() not null
);

insert into public.audit_logs (question, timestamp) values
('first', '2026-02-10 10:00+00'), (null, '2026-02-10 11:00+00');
