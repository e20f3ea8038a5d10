create or replace function ledger.effective_limits()
returns table (user_id integer, cost_limit numeric, basis text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Where several users have one id, the lowest limit holds, as of several roles and teams.
    return query execute
        'select distinct on (said.user_id) said.* from (' || ledger.limits_query()
        || ') as said (user_id, cost_limit, basis)'
        || ' order by said.user_id, said.cost_limit, said.basis';
end
$$;

comment on function ledger.effective_limits is
'What each user may spend in a day, in US dollars, and what says so.';
