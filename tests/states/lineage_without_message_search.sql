-- The other lineage of real installations: other column order, another summary view, a search
-- column that the server's own trigger keeps and that ignores the message, a notification.

drop table public.audit_logs;

create table public.audit_logs (
    created_at timestamp with time zone default now(),
    search_vector tsvector,
    message text,
    question text,
    result_summary text,
    tools_used text [],
    cost_estimate numeric(10, 6) default 0,
    tokens_cached integer default 0,
    tokens_output integer default 0,
    tokens_input integer default 0,
    status character varying(50) default 'success',
    user_id integer references public.users (id) on delete set null,
    id serial primary key
);

create trigger audit_logs_tsvector before insert or update on public.audit_logs
for each row execute function
tsvector_update_trigger(search_vector, 'pg_catalog.english', question, result_summary);

create function public.tell_of_errors() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('audit_errors', new.id || ' ' || new.message);
    return null;
end
$$;

create trigger audit_logs_notify after insert on public.audit_logs
for each row when (new.status <> 'success') execute function public.tell_of_errors();

create view public.audit_logs_summary as
select
    status,
    count(*) as requests,
    avg(cost_estimate) as mean_cost
from public.audit_logs
group by status;

create index idx_audit_search on public.audit_logs using gin (search_vector);

insert into public.users (email) values ('ada@example.com');

insert into public.audit_logs (user_id, message, question, result_summary, status, created_at) values
(1, 'ignored by the search', 'found by the searches', 'and this', 'success', '2026-02-10 10:00+00'),
(1, 'an error', null, null, 'error', '2026-02-10 11:00+00');
