-- What the trace does not hold is derived from each request's number, so that every run of the
-- demo gives the same rows.

insert into auth_service.roles (name, cost_limit_daily)
values ('user', 10.00), ('analyst', 2.00), ('admin', 50.00);

insert into auth_service.users (username, name, email, role_id)
select
    person.username,
    initcap(person.username),
    person.username || '@example.com',
    person.role_id
from (
    values
    ('root', 3), ('amara', 1), ('bruno', 1), ('chen', 2), ('dalia', 1), ('emil', 1),
    ('farah', 1), ('goran', 1), ('hana', 2), ('ines', 1), ('jonas', 1), ('kofi', 1)
) as person (username, role_id);

-- The chat writer has users of its own, in another order, one of whom the gateway does not know.
insert into public.users (email, name)
select
    person.email,
    person.name
from (
    select email, name, id
    from auth_service.users
    where username <> 'root'
    union all
    select 'guest@example.org', 'Guest', 11.5
) as person (email, name, place)
order by person.place desc;

insert into omni2.mcp_servers (name, url)
values
('files', 'http://localhost:7001'),
('search', 'http://localhost:7002'),
('tickets', 'http://localhost:7003'),
('warehouse', 'http://localhost:7004'),
('calendar', 'http://localhost:7005');

create temporary table request on commit drop as
select
    t.number,
    t.at - (t.number % {days}) * interval '1 day' as at,
    t.tokens_input,
    t.tokens_output,
    'Request ' || t.number || ' of the sample trace' as message,
    -- The square makes some users busier than others.
    1 + (((t.number * 2654435761) % 144)::numeric ^ 0.5)::integer % 12 as legacy_user_id,
    (t.number * 40503 / 7) % 4 as tool_calls,
    t.number % 53 = 0 as has_failed
from trace as t;

create temporary table tool_call on commit drop as
select
    r.number,
    c.nth,
    r.at + c.nth * interval '120 milliseconds' as at,
    r.message || ': call ' || c.nth as question,
    r.legacy_user_id,
    s.name as mcp_target,
    (
        array [
            'read_file', 'list_files', 'web_search', 'fetch_page', 'create_ticket',
            'close_ticket', 'run_query', 'describe_table', 'free_slots', 'book_slot'
        ]
    ) [2 * s.id - (r.number + c.nth) % 2] as tool_called,
    (r.number * 31 + c.nth) % 41 = 0 as has_failed,
    (r.number * 31 + c.nth) % 97 = 0 as was_blocked,
    40 + (r.number * 7919 + c.nth * 104729) % 900 as duration_ms
from request as r
cross join lateral generate_series(1, r.tool_calls) as c (nth)
inner join omni2.mcp_servers as s on s.id = 1 + (r.number + c.nth * c.nth) % 5;

insert into public.audit_logs (
    user_id, request_type, message, message_preview, iterations, tool_calls_count, tools_used,
    mcps_accessed, duration_ms, tokens_input, tokens_output, tokens_cached, cost_estimate, status,
    success, created_at
)
select
    r.legacy_user_id,
    'chat',
    r.message,
    left(r.message, 197),
    1 + r.tool_calls,
    r.tool_calls,
    c.tools_used,
    c.mcps_accessed,
    300 + 22 * least(r.tokens_output, 100000),
    r.tokens_input,
    r.tokens_output,
    0,
    round((r.tokens_input * 0.80 + r.tokens_output * 4.00) * 0.000001, 6),
    case when r.has_failed then 'error' else 'success' end,
    not r.has_failed,
    r.at
from request as r
left join (
    select
        number,
        array_agg(distinct tool_called order by tool_called) as tools_used,
        array_agg(distinct mcp_target order by mcp_target) as mcps_accessed
    from tool_call
    group by number
) as c on r.number = c.number
order by r.at, r.number;

-- The gateway knows its own users, logs each tool call, and one request in ten as a whole.
insert into omni2.audit_logs (
    user_id, timestamp, question, mcp_target, tool_called, success, duration_ms, error_message,
    llm_tokens_used, was_blocked, block_reason
)
select
    g.id,
    w.at,
    w.question,
    w.mcp_target,
    w.tool_called,
    w.success,
    w.duration_ms,
    w.error_message,
    w.llm_tokens_used,
    w.was_blocked,
    case when w.was_blocked then 'policy' end
from (
    select
        legacy_user_id,
        at,
        question,
        mcp_target,
        tool_called,
        not (has_failed or was_blocked) as success,
        duration_ms,
        case when has_failed then 'the tool gave an error' end as error_message,
        null::integer as llm_tokens_used,
        was_blocked
    from tool_call
    union all
    select
        legacy_user_id,
        at + interval '400 milliseconds',
        message,
        null,
        null,
        not has_failed,
        null,
        null,
        tokens_input + tokens_output,
        false
    from request
    where
        number % 10 = 0
        -- A gateway can log a whole request only of a person whom it knows.
        and legacy_user_id in (
            select known.id
            from public.users as known
            inner join auth_service.users as person on known.email = person.email
        )
) as w
left join public.users as u on w.legacy_user_id = u.id
left join auth_service.users as g on u.email = g.email
order by w.at;

-- Bad rows, beside the real ones: the ledger can not hold them, so they end in quarantine.
insert into public.audit_logs (user_id, message, tokens_input, tokens_output, cost_estimate,
    created_at)
values
(1, 'A bad row that the demo adds: it has no time', 10, 1, 0.000012, null),
(2, 'A bad row that the demo adds: its cost is no number', 10, 1, 'NaN', (select max(at) from request)),
(3, 'A bad row that the demo adds: no number either', 10, 1, 'NaN', (select min(at) from request));

-- A check every five minutes for each server, on each day that has requests, until the last one;
-- `search` is down for twenty minutes, and nobody looks at `tickets` for thirty.
insert into omni2.mcp_health_log (
    mcp_server_id, timestamp, status, response_time_ms, error_message, event_type
)
select
    s.id,
    c.at,
    case
        when not d.is_down then 'healthy'
        when c.nth % 2 = 0 then 'timeout'
        else 'unhealthy'
    end,
    case when not d.is_down then 20 + (c.nth * 7919 + s.id * 104729) % 180 end,
    case when d.is_down then 'no answer from the server' end,
    'health_check'
from omni2.mcp_servers as s
cross join (
    select
        tick.at,
        tick.nth,
        extract(epoch from tick.at - day.first_at) / 60 as minute
    from (
        select
            min(at) as first_at,
            least(
                date_trunc('day', min(at), 'utc') + interval '1 day' - interval '1 second',
                -- Only the last day ends early: with its last request.
                case
                    when max(at) = (select max(r.at) from request as r) then max(at)
                    else 'infinity'
                end
            ) as last_at
        from request
        group by (at at time zone 'utc')::date
    ) as day
    cross join lateral generate_series(
        date_trunc('day', day.first_at, 'utc'), day.last_at, interval '5 minutes'
    ) with ordinality as tick (at, nth)
) as c
cross join lateral (
    select s.name = 'search' and c.minute between 10 and 30 as is_down
) as d
where not (s.name = 'tickets' and c.minute between 10 and 40)
order by c.at, s.id;
