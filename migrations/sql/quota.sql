create table if not exists ledger.limit_history (
    user_id integer,
    valid_from timestamp with time zone not null,
    cost_limit numeric not null,
    basis text not null
);

comment on table ledger.limit_history is
'What each user may spend in a day, from when on, as it was noticed; without a user, everybody who has no limit of their own. So that a limit of today does not judge last year.';

create index if not exists limit_history_user_id_idx on ledger.limit_history (user_id, valid_from);

do $$
begin
    create type ledger.usage_limit as (
        allowed boolean,
        tokens_used bigint,
        cost_used numeric,
        cost_limit numeric,
        remaining numeric,
        exceeded boolean,
        tokens_unpriced bigint
    );
exception
    when duplicate_object then null;
end
$$;

comment on type ledger.usage_limit is
'What a user used today and may still use; costs in US dollars.';

create or replace function ledger.default_cost_limit() returns numeric
language sql stable parallel safe
as $$
    select greatest(coalesce(
        (select s.value::numeric from ledger.settings as s where s.name = 'default_cost_limit'),
        10.00
    ), 0)
$$;

comment on function ledger.default_cost_limit is
'What a user for whom nothing is set may spend in a day, in US dollars.';

create or replace function ledger.effective_limits()
returns table (user_id integer, cost_limit numeric, basis text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return query execute ledger.limits_query();
end
$$;

comment on function ledger.effective_limits is
'What each user may spend in a day, in US dollars, and what says so.';

create or replace function ledger.refresh_limits() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    body text := 'declare cost_limit numeric; begin select said.cost_limit into cost_limit from ('
        || ledger.limits_query() || ' where u.id = $1) as said (user_id, cost_limit, basis);'
        || ' return cost_limit; end';
begin
    if body is distinct from (
        select p.prosrc from pg_proc as p where p.oid = to_regproc('ledger.effective_limit')
    ) then
        execute format(
            'create or replace function ledger.effective_limit(bigint) returns numeric'
            ' language plpgsql stable as %L', body
        );
    end if;
end
$$;

comment on function ledger.refresh_limits is
'Makes ledger.effective_limit, the limit of one user, anew where the gateway has other tables now.';

create or replace function ledger.note_limits() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    noted integer;
begin
    insert into ledger.limit_history (user_id, valid_from, cost_limit, basis)
    select
        said.user_id,
        case when last.cost_limit is null then '-infinity' else now() end,
        said.cost_limit,
        said.basis
    from (
        select * from ledger.effective_limits()
        union all
        select null, ledger.default_cost_limit(), 'default'
    ) as said
    left join (
        select distinct on (h.user_id) h.user_id, h.cost_limit, h.basis
        from ledger.limit_history as h
        order by h.user_id, h.valid_from desc
    ) as last on said.user_id is not distinct from last.user_id
    where (said.cost_limit, said.basis) is distinct from (last.cost_limit, last.basis);
    get diagnostics noted = row_count;
    return noted;
end
$$;

comment on function ledger.note_limits is
'Notes limits that changed, from now on; what is noted first holds from ever.';

create or replace function ledger.check_usage_limit(
    user_id bigint,
    cost_limit numeric default null
) returns ledger.usage_limit
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- the way to a user's day is always the index; planning anew would take longer than the answer
set plan_cache_mode = force_generic_plan
as $$
declare
    zone text;
    counts text;
    default_model text;
    at timestamp with time zone;
    today date;
    starts_at timestamp with time zone;
    ends_at timestamp with time zone;
    found ledger.usage_limit;
begin
    select
        coalesce(max(s.value) filter (where s.name = 'reporting_timezone'), 'UTC'),
        coalesce(max(s.value) filter (where s.name = 'unpriced_tokens'), 'count'),
        coalesce(max(s.value) filter (where s.name = 'default_model'), 'claude-3-5-haiku'),
        coalesce(max(s.value) filter (where s.name = 'as_of')::timestamp with time zone, now())
    into zone, counts, default_model, at
    from ledger.settings as s;
    today := (at at time zone zone)::date;
    starts_at := ledger.day_starts_at(today, zone);
    ends_at := ledger.day_starts_at(today + 1, zone);

    select
        coalesce(sum(a.llm_tokens_used) filter (
            where a.llm_tokens_used between 0 and 1000000000000
        ), 0),
        coalesce(sum(a.cost_usd) filter (where a.cost_usd between 0 and 1000000000000), 0),
        coalesce(sum(a.llm_tokens_used) filter (
            where a.llm_tokens_used between 0 and 1000000000000
            and (a.cost_usd between 0 and 1000000000000) is not true
        ), 0)
    into found.tokens_used, found.cost_used, found.tokens_unpriced
    from omni2.audit_logs as a
    where
        a.user_id = check_usage_limit.user_id
        and a.timestamp >= starts_at
        and a.timestamp < ends_at
        and a.success;

    if found.tokens_unpriced > 0 and counts = 'count' then
        found.cost_used := found.cost_used + coalesce(
            ledger.usage_cost(default_model, starts_at, found.tokens_unpriced, 0), 0
        );
    end if;

    if check_usage_limit.cost_limit <> 'NaN' then
        found.cost_limit := greatest(check_usage_limit.cost_limit, 0);
    else
        begin
            found.cost_limit := ledger.effective_limit(check_usage_limit.user_id);
        exception
            when undefined_table or undefined_column or datatype_mismatch then
                -- the gateway changed its tables and no run has looked since
                execute format(
                    'select said.cost_limit from (%s where u.id = $1) as said (id, cost_limit, basis)',
                    ledger.limits_query()
                ) into found.cost_limit using check_usage_limit.user_id;
        end;
        found.cost_limit := coalesce(found.cost_limit, ledger.default_cost_limit());
    end if;
    found.remaining := greatest(found.cost_limit - found.cost_used, 0);
    found.exceeded := found.cost_used >= found.cost_limit;
    found.allowed := not found.exceeded;
    return found;
end
$$;

comment on function ledger.check_usage_limit(bigint, numeric) is
'Whether a user may go on today (a day of the reporting time zone), what is used and what is left. The limit is the one given, else the one in force (ledger.limits_query). Tokens without a cost are shown, and count at the default model''s price of input where the setting unpriced_tokens says count.';

-- A limit that a program keeps as a float finds this one.
create or replace function ledger.check_usage_limit(
    user_id bigint,
    cost_limit double precision
) returns ledger.usage_limit
language sql stable
as $$
    select ledger.check_usage_limit($1, $2::numeric)
$$;

comment on function ledger.check_usage_limit(bigint, double precision) is
'The same with a limit that is a float.';

select ledger.refresh_limits();

select ledger.note_limits();
