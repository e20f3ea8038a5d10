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
