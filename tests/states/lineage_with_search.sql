-- A real installation's old table: all that its chat writer ever had, a search column kept by a
-- trigger, fifteen indexes, a daily summary and a view of each user's activity.

drop table public.audit_logs;

create table public.audit_logs (
    id serial primary key,
    user_id integer references public.users (id) on delete set null,
    timestamp timestamp with time zone default now() not null,
    question text,
    mcp_target character varying(255),
    tool_called character varying(255),
    tool_params jsonb,
    success boolean default true,
    duration_ms integer,
    result_summary text,
    error_message text,
    error_id character varying(50),
    slack_channel character varying(100),
    slack_user_id character varying(50),
    slack_message_ts character varying(50),
    slack_thread_ts character varying(50),
    llm_confidence numeric(3, 2),
    llm_reasoning text,
    llm_tokens_used integer,
    ip_address inet,
    user_agent text,
    was_blocked boolean default false,
    block_reason text,
    request_type character varying(50) default 'chat',
    message text,
    message_preview character varying(200),
    iterations integer default 0,
    tool_calls_count integer default 0,
    tools_used text [],
    mcps_accessed text [],
    databases_accessed text [],
    tokens_input integer default 0,
    tokens_output integer default 0,
    tokens_cached integer default 0,
    cost_estimate numeric(10, 6) default 0,
    status character varying(50) default 'success',
    warning text,
    response_preview text,
    created_at timestamp with time zone default now(),
    search_vector tsvector
);

create index idx_audit_user on public.audit_logs (user_id);
create index idx_audit_timestamp on public.audit_logs (timestamp desc);
create index idx_audit_created on public.audit_logs (created_at desc);
create index idx_audit_target on public.audit_logs (mcp_target);
create index idx_audit_tool on public.audit_logs (tool_called);
create index idx_audit_success on public.audit_logs (success);
create index idx_audit_status on public.audit_logs (status);
create index idx_audit_blocked on public.audit_logs (was_blocked) where was_blocked;
create index idx_audit_type on public.audit_logs (request_type);
create index idx_audit_error on public.audit_logs (error_id) where error_id is not null;
create index idx_audit_slack on public.audit_logs (slack_channel, slack_user_id);
create index idx_audit_tools on public.audit_logs using gin (tools_used);
create index idx_audit_mcps on public.audit_logs using gin (mcps_accessed);
create index idx_audit_databases on public.audit_logs using gin (databases_accessed);
create index idx_audit_search on public.audit_logs using gin (search_vector);

create function public.audit_logs_search_update() returns trigger
language plpgsql
as $$
begin
    new.search_vector :=
        setweight(to_tsvector('english', coalesce(new.message, new.question, '')), 'A')
        || setweight(to_tsvector('english', coalesce(new.response_preview, '')), 'B')
        || setweight(to_tsvector('english', coalesce(array_to_string(new.tools_used, ' '), '')), 'C');
    return new;
end
$$;

create trigger audit_logs_search before insert or update on public.audit_logs
for each row execute function public.audit_logs_search_update();

create view public.audit_logs_summary as
select
    date(created_at) as day,
    count(*) as requests,
    count(*) filter (where not success) as failures,
    sum(tokens_input + tokens_output + tokens_cached) as tokens,
    sum(cost_estimate) as cost
from public.audit_logs
group by date(created_at);

create view public.v_user_activity as
select
    u.email,
    count(a.id) as requests,
    max(a.created_at) as last_seen,
    sum(a.cost_estimate) as cost
from public.users as u
left join public.audit_logs as a on u.id = a.user_id
group by u.email;

comment on view public.v_user_activity is 'Who asked how often';

grant select on public.audit_logs_summary, public.v_user_activity to public;

insert into auth_service.users (id, email) values (7, 'ada@example.com'), (1, 'idle@example.com');

insert into public.users (email, name) values ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob');

insert into omni2.audit_logs (user_id, timestamp, question, success) values
(7, '2026-02-10 10:00:01+00', 'how many orders were there', true);

insert into public.audit_logs
(user_id, timestamp, message, question, response_preview, tools_used, databases_accessed,
    tokens_input, tokens_output, cost_estimate, created_at) values
(1, '2026-02-10 10:00+00', 'how many orders were there', null, 'Forty', '{query}', '{sales}', 10, 2,
    0.000016, '2026-02-10 10:00+00'),
(2, '2026-02-10 11:00+00', 'where are the invoices', 'invoices?', null, null, null, 20, null,
    null, '2026-02-10 11:00+00'),
(null, '2026-02-10 12:00+00', null, null, null, null, null, null, null, null,
    '2026-02-10 12:00+00');
