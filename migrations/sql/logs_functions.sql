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
        select c.id
        from (
            -- In order already, so that no more is joined than the page takes.
            select n.id, n.timestamp
            from (
                (
                    select a.id, a.timestamp
                    from omni2.audit_logs as a
                    where
                        wanted = 'all'
                        and a.mcp_target = server_name
                        and a.timestamp is not null
                    order by a.timestamp desc
                    limit looked_at
                )
                union all
                (
                    select s.id, s.timestamp
                    from (
                        select a.id, a.timestamp, a.success
                        from omni2.audit_logs as a
                        where
                            wanted = 'success'
                            and a.mcp_target = server_name
                            and a.timestamp is not null
                        order by a.timestamp desc
                        limit 100000
                    ) as s
                    where s.success
                    limit looked_at
                )
                union all
                (
                    select a.id, a.timestamp
                    from omni2.audit_logs as a
                    where
                        wanted = 'error'
                        and a.mcp_target = server_name
                        and a.success is not true
                        and a.timestamp is not null
                    order by a.timestamp desc
                    limit looked_at
                )
                union all
                (
                    select s.audit_id, s.timestamp
                    from ledger.audit_servers as s
                    where wanted in ('all', 'success') and s.server_name = audit_newest.server_name and not s.failed
                    order by s.timestamp desc
                    limit looked_at
                )
                union all
                (
                    select s.audit_id, s.timestamp
                    from ledger.audit_servers as s
                    where wanted in ('all', 'error') and s.server_name = audit_newest.server_name and s.failed
                    order by s.timestamp desc
                    limit looked_at
                )
            ) as n
            order by n.timestamp desc, n.id desc
            offset 0
        ) as c
        inner join omni2.audit_logs as a
            on c.id = a.id and not (c.timestamp is distinct from a.timestamp)
        left join auth_service.users as u on pattern is not null and a.user_id = u.id
        where
            pattern is null
            or ledger.audit_text(
                a.question, a.tool_called, a.tools_used, a.error_message, a.result_summary
            ) ilike pattern
            or u.email ilike pattern
        order by c.timestamp desc, c.id desc
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
        where cast(u.email as text) ilike pattern
        limit 101
    );
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
                ) ilike pattern
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
            f.timestamp is not null
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
    if pattern is null then
        return ledger.audit_newest(server_name, wanted, pattern, max_rows, max_rows);
    end if;
    is_indexed := coalesce(pattern ~ '[[:alnum:]]{3}' and (
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
    found bigint [];
begin
    if server_name is null or max_rows = 0 or length(search) > 1000 then
        return;
    end if;
    found := ledger.audit_found(server_name, wanted, pattern, max_rows);
    return query
    select
        cast(a.id as integer),
        coalesce(cast(a.tool_called as text), array_to_string(a.tools_used, ', ')),
        coalesce(cast(u.email as text), cast(a.user_id as text)),
        'production'::text,
        cast(a.tool_params as jsonb),
        case when a.success then 'success' else 'error' end,
        a.result_summary,
        a.error_message,
        cast(a.duration_ms as integer),
        null::text,
        null::text,
        a.timestamp
    from unnest(found) with ordinality as f (id, place)
    inner join omni2.audit_logs as a on f.id = a.id
    left join auth_service.users as u on a.user_id = u.id
    order by f.place;
end
$$;

comment on function ledger.mcp_server_audit is
'The AuditLog contract: calls of one server, and requests that reached it, newest first. status: success, error, or NULL for all. search: a literal text, in any case, in the question, tool, error, summary or the user''s address. limit: 100 unless said, 1,000 at most. Rows without a time are left out.';

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
    where h.mcp_server_id = mcp_server_logs.server_id
    order by h.timestamp desc
    limit least(greatest(coalesce("limit", 100), 0), 1000);
end
$$;

comment on function ledger.mcp_server_logs is
'The HealthLog contract: what was noticed of one server, newest first. limit: 100 unless said, 1,000 at most.';

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
