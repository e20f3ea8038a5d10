create or replace function ledger.is_dated(at timestamp with time zone) returns boolean
language sql immutable parallel safe
as $$
    select at >= '0001-01-03 00:00+00' and at < '9999-12-30 00:00+00'
$$;

comment on function ledger.is_dated is
'Whether clients in any time zone can read a time: those of Python and JSON know neither infinity nor years beyond 1 to 9999. It has no settings of its own, so that it becomes part of the query that calls it.';

create or replace function ledger.audit_listed(
    server_name text,
    wanted text,
    looked_at bigint
) returns table (
    id bigint,
    "timestamp" timestamp with time zone,
    user_id bigint,
    question text,
    tool_called text,
    tools_used text [],
    tool_params jsonb,
    success boolean,
    result_summary text,
    error_message text,
    duration_ms integer
)
language sql stable parallel safe
as $$
    select
        cast(n.id as bigint),
        n.timestamp,
        cast(n.user_id as bigint),
        cast(n.question as text),
        cast(n.tool_called as text),
        cast(n.tools_used as text []),
        cast(n.tool_params as jsonb),
        n.success,
        cast(n.result_summary as text),
        cast(n.error_message as text),
        cast(n.duration_ms as integer)
    from (
        (
            select
                s.id,
                s.timestamp,
                s.user_id,
                s.question,
                s.tool_called,
                s.tools_used,
                s.tool_params,
                s.success,
                s.result_summary,
                s.error_message,
                s.duration_ms
            from (
                select a.*
                from omni2.audit_logs as a
                where
                    wanted in ('all', 'success')
                    and a.mcp_target = server_name
                    and ledger.is_dated(a.timestamp)
                order by a.timestamp desc
                limit 100000
            ) as s
            where wanted = 'all' or s.success
            order by s.timestamp desc
            limit looked_at
        )
        union all
        (
            select
                a.id,
                a.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from omni2.audit_logs as a
            where
                wanted = 'error'
                and a.mcp_target = server_name
                and a.success is not true
                and ledger.is_dated(a.timestamp)
            order by a.timestamp desc
            limit looked_at
        )
        union all
        (
            select
                a.id,
                s.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from (
                select
                    l.audit_id,
                    l.timestamp
                from ledger.audit_servers as l
                where
                    wanted in ('all', 'success')
                    and l.server_name = audit_listed.server_name
                    and not l.failed
                    and ledger.is_dated(l.timestamp)
                order by l.timestamp desc
                limit looked_at
            ) as s
            inner join omni2.audit_logs as a
                on s.audit_id = a.id and not (s.timestamp is distinct from a.timestamp)
            order by s.timestamp desc
        )
        union all
        (
            select
                a.id,
                s.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from (
                select
                    l.audit_id,
                    l.timestamp
                from ledger.audit_servers as l
                where
                    wanted in ('all', 'error')
                    and l.server_name = audit_listed.server_name
                    and l.failed
                    and ledger.is_dated(l.timestamp)
                order by l.timestamp desc
                limit looked_at
            ) as s
            inner join omni2.audit_logs as a
                on s.audit_id = a.id and not (s.timestamp is distinct from a.timestamp)
            order by s.timestamp desc
        )
    ) as n
$$;

comment on function ledger.audit_listed is
'The newest looked_at rows of one server out of each list that may hold some, in no order. wanted is all, success or error; of successes it looks through 100,000 calls at most. It has no settings of its own, so that it becomes part of the query that calls it, which reads no more of each list than it takes, where it takes the newest.';

-- Columns may have collations that no pattern can be matched by, or several that don't go together;
-- the database's own is always fit for it.
create or replace function ledger.audit_says(
    question text,
    tool_called text,
    tools_used text [],
    error_message text,
    result_summary text,
    pattern text
) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select bool_or(t.words collate "default" ilike pattern)
    from unnest(array[
        left(question, 500),
        coalesce(tool_called, left(array_to_string(tools_used, ', '), 500)),
        left(error_message, 500),
        left(result_summary, 500)
    ]) as t (words)
$$;

comment on function ledger.audit_says is
'Whether one of the texts of ledger.audit_text matches by itself. They are joined by a newline, so that only a pattern with one in it may match across two of them.';

create or replace function ledger.audit_numbers(pattern text) returns text []
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
-- A step from one person to the next is one look into the index, whoever calls this.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_indexscan = on
set enable_indexonlyscan = on
as $$
begin
    if pattern !~ '^%[0-9]+%$' then
        return '{}';
    end if;
    return array(
        with recursive persons as (
            select min(a.user_id) as user_id
            from omni2.audit_logs as a
            union all
            select (
                select min(a.user_id)
                from omni2.audit_logs as a
                where a.user_id > p.user_id
            )
            from persons as p
            where p.user_id is not null
        )

        select 'u:' || p.user_id
        from persons as p
        left join auth_service.users as u on p.user_id = u.id
        where cast(p.user_id as text) like pattern and u.email is null
        limit 101
    );
end
$$;

comment on function ledger.audit_numbers is
'The persons without an e-mail address whose number has the digits of a pattern, as ledger.audit_keys names them: the dialog shows their number. At most 101.';

create or replace function ledger.audit_newest(
    server_name text,
    wanted text,
    pattern text,
    looked_at bigint,
    max_rows bigint
) returns bigint []
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
-- How many rows a limit lets through is not known when one plan is made for all.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    return array(
        select a.id
        from (
            select l.*
            from ledger.audit_listed(server_name, wanted, looked_at) as l
            order by l.timestamp desc, l.id desc
            -- The lists reach back unequally far: only so much of all is without a gap.
            limit looked_at
        ) as a
        left join auth_service.users as u on a.user_id = u.id
        where
            (
                ledger.audit_text(
                    a.question, a.tool_called, a.tools_used, a.error_message, a.result_summary
                ) collate "default" ilike pattern
                and (
                    strpos(pattern, e'\n') = 0
                    or ledger.audit_says(
                        a.question,
                        a.tool_called,
                        a.tools_used,
                        a.error_message,
                        a.result_summary,
                        pattern
                    )
                )
            )
            or coalesce(cast(u.email as text), cast(a.user_id as text)) collate "default"
            ilike pattern
        order by a.timestamp desc, a.id desc
        limit max_rows
    );
end
$$;

comment on function ledger.audit_newest is
'Ids of the newest rows of one server, newest first, that say the pattern, among the newest looked_at of it: no more work than that, however many rows there are. wanted is all, success or error; of successes it looks through 100,000 calls at most.';

create or replace function ledger.audit_indexed(
    server_name text,
    wanted text,
    pattern text,
    max_rows bigint
) returns bigint []
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_indexscan = off
set enable_indexonlyscan = off
set max_parallel_workers_per_gather = 0
as $$
declare
    persons text [] := array(
        select 'u:' || u.id
        from auth_service.users as u
        where cast(u.email as text) collate "default" ilike pattern
        limit 101
    ) || ledger.audit_numbers(pattern);
begin
    return array(
        -- Kept apart, so that no other index is thought better than the one made for this.
        with texts as materialized (
            select a.id, a.timestamp, a.success
            from omni2.audit_logs as a
            where
                ledger.audit_keys(a.mcp_target, a.mcps_accessed, a.user_id)
                @> array['s:' || server_name]
                and ledger.audit_text(
                    a.question, a.tool_called, a.tools_used, a.error_message, a.result_summary
                ) collate "default" ilike pattern
                and (
                    strpos(pattern, e'\n') = 0
                    or ledger.audit_says(
                        a.question,
                        a.tool_called,
                        a.tools_used,
                        a.error_message,
                        a.result_summary,
                        pattern
                    )
                )
        ),

        people as materialized (
            select a.id, a.timestamp, a.success
            from omni2.audit_logs as a
            where
                ledger.audit_keys(a.mcp_target, a.mcps_accessed, a.user_id)
                @> array['s:' || server_name]
                and ledger.audit_keys(a.mcp_target, a.mcps_accessed, a.user_id) && persons
                and cardinality(persons) between 1 and 100
        )

        select f.id
        from (
            select t.id, t.timestamp, t.success
            from texts as t
            union
            select p.id, p.timestamp, p.success
            from people as p
        ) as f
        where
            ledger.is_dated(f.timestamp)
            and (
                wanted = 'all'
                or wanted = 'success' and f.success
                or wanted = 'error' and f.success is not true
            )
        order by f.timestamp desc, f.id desc
        limit max_rows
    );
end
$$;

comment on function ledger.audit_indexed is
'Ids of the newest rows of one server that say the pattern, out of the search index: work in proportion to the rows found. A pattern of more than 100 users is looked up in the texts only.';

create or replace function ledger.audit_found(
    server_name text,
    wanted text,
    pattern text,
    max_rows bigint
) returns bigint []
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    is_indexed boolean;
    looked_at bigint;
    found bigint [];
begin
    is_indexed := coalesce(pattern collate "default" ~ '[[:alnum:]]{3}' and (
        select i.indisvalid
        from pg_index as i
        where i.indexrelid = to_regclass('omni2.omniledger_audit_logs_search')
    ), false);
    -- A common word fills the page out of the newest rows. What they hardly say is rare, and rare
    -- words are what the index is for.
    foreach looked_at in array array[24, 500, 10000] loop
        found := ledger.audit_newest(server_name, wanted, pattern, looked_at, max_rows);
        if cardinality(found) >= max_rows then
            return found;
        end if;
        exit when is_indexed and cardinality(found) <= 1;
    end loop;
    if is_indexed then
        return ledger.audit_indexed(server_name, wanted, pattern, max_rows);
    end if;
    return found;
end
$$;

comment on function ledger.audit_found is
'Ids of the newest rows of one server that say the pattern, newest first: out of the search index where the word is rare, else among the newest 10,000 rows of the server. Without the index, and for patterns of one or two letters, what is older than those is not found.';

create or replace function ledger.mcp_server_audit(
    server_id bigint,
    status text default null,
    search text default null,
    "limit" bigint default null
) returns table (
    id integer,
    tool_name text,
    user_id text,
    environment text,
    parameters jsonb,
    result_status text,
    result_summary text,
    error_message text,
    execution_time_ms integer,
    workflow_run_id text,
    session_id text,
    created_at timestamp with time zone
)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
-- How many rows a limit lets through is not known when one plan is made for all.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    server_name text := (
        select s.name from omni2.mcp_servers as s where s.id = mcp_server_audit.server_id
    );
    max_rows bigint := least(greatest(coalesce("limit", 100), 0), 1000);
    wanted text := coalesce(nullif(lower(btrim(status)), ''), 'all');
    pattern text := '%' || replace(
        replace(replace(nullif(search, ''), e'\\', e'\\\\'), '%', e'\\%'), '_', e'\\_'
    ) || '%';
begin
    if server_name is null or max_rows = 0 or length(search) > 1000 then
        return;
    end if;
    if pattern is not null then
        return query
        select
            cast(a.id as integer),
            coalesce(cast(a.tool_called as text), array_to_string(a.tools_used, ', ')),
            coalesce(cast(u.email as text), cast(a.user_id as text)),
            'production'::text,
            cast(a.tool_params as jsonb),
            case when a.success then 'success' else 'error' end,
            cast(a.result_summary as text),
            cast(a.error_message as text),
            cast(a.duration_ms as integer),
            null::text,
            null::text,
            a.timestamp
        from unnest(ledger.audit_found(server_name, wanted, pattern, max_rows)) as f (id)
        inner join omni2.audit_logs as a on f.id = a.id
        left join auth_service.users as u on a.user_id = u.id
        order by a.timestamp desc, a.id desc;
        return;
    end if;
    return query
    select
        cast(a.id as integer),
        coalesce(a.tool_called, array_to_string(a.tools_used, ', ')),
        coalesce(cast(u.email as text), cast(a.user_id as text)),
        'production'::text,
        a.tool_params,
        case when a.success then 'success' else 'error' end,
        a.result_summary,
        a.error_message,
        a.duration_ms,
        null::text,
        null::text,
        a.timestamp
    from (
        select l.*
        from ledger.audit_listed(server_name, wanted, max_rows) as l
        order by l.timestamp desc, l.id desc
        limit max_rows
    ) as a
    left join auth_service.users as u on a.user_id = u.id
    order by a.timestamp desc, a.id desc;
end
$$;

comment on function ledger.mcp_server_audit is
'The AuditLog contract: calls of one server, and requests that reached it, newest first. status: success, error, or NULL for all. search: a literal text, in any case, in the question, tool, error, summary or the user''s address. limit: 100 unless said, 1,000 at most. Rows without a time are left out, and those with one that no client reads: infinite, or beyond the years 1 to 9999.';

create or replace function ledger.mcp_server_logs(
    server_id bigint,
    "limit" bigint default null
) returns table (
    id integer,
    "timestamp" timestamp with time zone,
    status text,
    response_time_ms integer,
    error_message text,
    event_type text,
    meta_data jsonb
)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    select
        cast(h.id as integer),
        h.timestamp,
        cast(h.status as text),
        cast(h.response_time_ms as integer),
        h.error_message,
        cast(h.event_type as text),
        cast(h.meta_data as jsonb)
    from omni2.mcp_health_log as h
    where h.mcp_server_id = mcp_server_logs.server_id and ledger.is_dated(h.timestamp)
    order by h.timestamp desc, h.id desc
    limit least(greatest(coalesce("limit", 100), 0), 1000);
end
$$;

comment on function ledger.mcp_server_logs is
'The HealthLog contract: what was noticed of one server, newest first. limit: 100 unless said, 1,000 at most. Events without a time are left out, and those with one that no client reads.';

create or replace function ledger.logs_document(server_id bigint, logs json) returns json
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'success', true,
        'server', (
            select json_build_object(
                'id', s.id, 'name', s.name, 'url', to_jsonb(s.*) ->> 'url'
            )
            from omni2.mcp_servers as s
            where s.id = logs_document.server_id
        ),
        'logs', coalesce(logs, '[]'::json)
    )
$$;

comment on function ledger.logs_document is
'The document that the logs dialog reads, about one server; a server that is not there is null.';

create or replace function ledger.mcp_server_audit_json(
    server_id bigint,
    status text default null,
    search text default null,
    "limit" bigint default null
) returns json
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
    select ledger.logs_document(
        mcp_server_audit_json.server_id,
        (
            select json_agg(row_to_json(l.*))
            from ledger.mcp_server_audit(
                mcp_server_audit_json.server_id,
                mcp_server_audit_json.status,
                mcp_server_audit_json.search,
                mcp_server_audit_json."limit"
            ) as l
        )
    )
$$;

comment on function ledger.mcp_server_audit_json is
'ledger.mcp_server_audit as the document that the logs dialog reads; times are ISO 8601, in UTC.';

create or replace function ledger.mcp_server_logs_json(
    server_id bigint,
    "limit" bigint default null
) returns json
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
    select ledger.logs_document(
        mcp_server_logs_json.server_id,
        (
            select json_agg(row_to_json(l.*))
            from ledger.mcp_server_logs(
                mcp_server_logs_json.server_id, mcp_server_logs_json."limit"
            ) as l
        )
    )
$$;

comment on function ledger.mcp_server_logs_json is
'ledger.mcp_server_logs as the document that the logs dialog reads; times are ISO 8601, in UTC.';
