create or replace function ledger.audit_listed(
    server_name text,
    wanted text,
    looked_at bigint
) returns table (id bigint, "timestamp" timestamp with time zone)
language sql stable parallel safe
as $$
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
            where
                wanted in ('all', 'success')
                and s.server_name = audit_listed.server_name
                and not s.failed
            order by s.timestamp desc
            limit looked_at
        )
        union all
        (
            select s.audit_id, s.timestamp
            from ledger.audit_servers as s
            where
                wanted in ('all', 'error')
                and s.server_name = audit_listed.server_name
                and s.failed
            order by s.timestamp desc
            limit looked_at
        )
    ) as n (id, timestamp)
$$;

comment on function ledger.audit_listed is
'The newest looked_at rows of one server out of each list that may hold some, in no order. wanted is all, success or error; of successes it looks through 100,000 calls at most. It has no settings of its own, so that it becomes part of the query that calls it.';

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
            select l.id, l.timestamp
            from ledger.audit_listed(server_name, wanted, looked_at) as l
            order by l.timestamp desc, l.id desc
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
    found bigint [];
begin
    if server_name is null or max_rows = 0 or length(search) > 1000 then
        return;
    end if;
    if pattern is not null then
        found := ledger.audit_found(server_name, wanted, pattern, max_rows);
    end if;
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
    from (
        -- In order already, so that no more is joined than the page takes.
        select n.id, n.timestamp, n.place
        from (
            select l.id, l.timestamp, null::bigint as place
            from ledger.audit_listed(server_name, wanted, max_rows) as l
            where pattern is null
            union all
            select f.id, null, f.place
            from unnest(found) with ordinality as f (id, place)
        ) as n
        order by n.timestamp desc, n.place, n.id desc
        offset 0
    ) as c
    inner join omni2.audit_logs as a
        on c.id = a.id and (c.place is not null or not (c.timestamp is distinct from a.timestamp))
    left join auth_service.users as u on a.user_id = u.id
    order by c.timestamp desc, c.place, c.id desc
    limit max_rows;
end
$$;
