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
