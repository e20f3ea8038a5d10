create or replace function ledger.note_limits() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    noted integer;
begin
    insert into ledger.limit_history (user_id, valid_from, cost_limit, basis)
    with known as (
        select l.user_id, l.cost_limit, l.basis from ledger.effective_limits() as l
    ),

    said as (
        select k.user_id, k.cost_limit, k.basis from known as k
        union all
        select null, ledger.default_cost_limit(), 'default'
        union all
        -- who is gone is stopped at what stops everybody
        select distinct h.user_id, ledger.default_cost_limit(), 'default'
        from ledger.limit_history as h
        where
            h.user_id is not null
            and not exists (select from known as k where k.user_id = h.user_id)
    )

    select
        s.user_id,
        case when last.cost_limit is null then '-infinity' else now() end,
        s.cost_limit,
        s.basis
    from said as s
    left join (
        select distinct on (h.user_id) h.user_id, h.cost_limit, h.basis
        from ledger.limit_history as h
        order by h.user_id, h.valid_from desc
    ) as last on s.user_id is not distinct from last.user_id
    where (s.cost_limit, s.basis) is distinct from (last.cost_limit, last.basis);
    get diagnostics noted = row_count;
    return noted;
end
$$;

comment on function ledger.note_limits is
'Notes limits that changed, from now on; what is noted first holds from ever.';
