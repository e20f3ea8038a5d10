-- Columns may have collations that no pattern can be matched by, or several that don't go together;
-- the database's own is always fit for it.
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
            ) collate "default" ilike pattern
            or cast(u.email as text) collate "default" ilike pattern
        order by c.timestamp desc, c.id desc
        limit max_rows
    );
end
$$;

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
                ) collate "default" ilike pattern
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
