create or replace function ledger.refresh_limits() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    body text := 'declare cost_limit numeric; begin select min(said.cost_limit) into cost_limit from ('
        || ledger.limits_query() || ' where u.id = $1) as said (user_id, cost_limit, basis);'
        || ' return cost_limit; end';
begin
    if body is distinct from (
        select p.prosrc from pg_proc as p where p.oid = to_regproc('ledger.effective_limit')
    ) then
        execute format(
            'create or replace function ledger.effective_limit(bigint) returns numeric'
            ' language plpgsql stable set search_path = pg_catalog, pg_temp as %L', body
        );
    end if;
end
$$;

comment on function ledger.refresh_limits is
'Makes ledger.effective_limit, the limit of one user, anew where the gateway has other tables now.';
