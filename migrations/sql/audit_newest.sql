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
            -- The lists reach back unequally far: only so much of all is without a gap.
            limit looked_at
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
