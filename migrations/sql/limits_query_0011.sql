create or replace function ledger.limits_query() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    branches text := '';
begin
    if not ledger.has_columns('auth_service.users', 'id') then
        return 'select null::integer, null::numeric, null::text from (select null::integer as id where false) as u';
    end if;
    if ledger.has_columns('auth_service.user_overrides', 'user_id', 'custom_cost_limit') then
        branches := branches || '
            select 1, min(o.custom_cost_limit::numeric), ''override''
            from auth_service.user_overrides as o
            where o.user_id = u.id and o.custom_cost_limit::numeric <> ''NaN''
            union all';
    end if;
    if ledger.has_columns('auth_service.users', 'role_id')
        and ledger.has_columns('auth_service.roles', 'id', 'cost_limit_daily')
    then
        branches := branches || '
            select 2, min(r.cost_limit_daily::numeric), ''role''
            from auth_service.roles as r
            where r.id = u.role_id and r.cost_limit_daily::numeric <> ''NaN''
            union all';
    end if;
    if ledger.has_columns('auth_service.team_members', 'team_id', 'user_id')
        and ledger.has_columns('auth_service.teams', 'id', 'team_cost_limit')
    then
        branches := branches || '
            select 2, min(t.team_cost_limit::numeric), ''team''
            from auth_service.team_members as m
            inner join auth_service.teams as t on m.team_id = t.id
            where m.user_id = u.id and t.team_cost_limit::numeric <> ''NaN''
            union all';
    end if;
    return '
        select u.id::integer, greatest(said.cost_limit, 0), said.basis
        from auth_service.users as u
        cross join lateral (
            select limits.cost_limit, limits.basis
            from (' || branches || '
            select 3, ledger.default_cost_limit(), ''default''
            ) as limits (place, cost_limit, basis)
            where limits.cost_limit is not null
            order by limits.place, limits.cost_limit, limits.basis
            limit 1
        ) as said';
end
$$;

comment on function ledger.limits_query is
'The one definition of what a user may spend in a day, as SQL over the tables that the gateway has: the user''s own override; else the lowest that role and teams set; else the default. NULL sets nothing, and below zero is zero.';
