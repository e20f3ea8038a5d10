-- Columns of odd names and types, some named like the ledger's own and meaning something else.

create type public.mood as enum ('good', 'bad');
create domain public.percent as integer not null check (value between 0 and 100) default 50;

alter table public.audit_logs
add "createdAt" date,
add "select" integer default 3,
add "with ""quotes"" and: {0}" text,
add "Überschrift" text default 'ä',
add details jsonb default '{}',
add plain json,
add mood public.mood default 'good',
add moods public.mood [],
add share public.percent,
add content bytea,
add matrix integer [] [],
add period tstzrange,
add span interval,
add bits bit(3),
add short character(4),
add "timestamp" bigint,
add source_system integer,
add legacy_id text,
add change_xid text,
add legacy_user_id integer,
add legacy_created_at text,
add cost_usd double precision,
add tool_params text,
add found boolean,
add l text,
add new text,
alter tools_used type jsonb using to_jsonb(tools_used),
alter ip_address type character varying(45);

insert into public.audit_logs
(message, created_at, "createdAt", "select", "with ""quotes"" and: {0}", details, plain, moods, content,
    matrix, period, span, bits, short, "timestamp", source_system, legacy_id, change_xid,
    legacy_user_id, legacy_created_at, cost_usd, tool_params, found, l, new, tools_used, ip_address)
values
('all', '2026-02-10 10:00+00', '2026-02-10', 7, 'x', '{"a": [1]}', '{"b":  2}', '{good,bad}', '\x00ff',
    '{{1,2},{3,4}}', '[2026-01-01,)', '1 day', B'101', 'ab', 1760000000, 9, 'x', 'y', 4, 'then', 0.1,
    '{', true, 'l', 'n', '["a"]', 'not an address');

insert into public.audit_logs (message, created_at, share) values ('defaults', '2026-02-10 11:00+00', 0);

insert into public.audit_logs (
    user_id, request_type, message, iterations, tool_calls_count, tokens_input, tokens_output,
    tokens_cached, cost_estimate, status, success, created_at, "select", details, mood, "Überschrift"
) values (null, null, null, null, null, null, null, null, null, null, null, '2026-02-10 12:00+00', null,
    null, null, null);
