create or replace function ledger.limits_query() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    override text := 'null::numeric';
    role text := 'null::numeric';
    team text := 'null::numeric';
begin
    if not ledger.has_columns('auth_service.users', 'id') then
        return 'select null::integer, null::numeric, null::text from (select null::integer as id where false) as u';
    end if;
    if ledger.has_columns('auth_service.user_overrides', 'user_id', 'custom_cost_limit') then
        override := '(
                    select min(o.custom_cost_limit::numeric)
                    from auth_service.user_overrides as o
                    where o.user_id = u.id and o.custom_cost_limit::numeric <> ''NaN''
                )';
    end if;
    if ledger.has_columns('auth_service.users', 'role_id')
        and ledger.has_columns('auth_service.roles', 'id', 'cost_limit_daily')
    then
        role := '(
                    select min(r.cost_limit_daily::numeric)
                    from auth_service.roles as r
                    where r.id = u.role_id and r.cost_limit_daily::numeric <> ''NaN''
                )';
    end if;
    if ledger.has_columns('auth_service.team_members', 'team_id', 'user_id')
        and ledger.has_columns('auth_service.teams', 'id', 'team_cost_limit')
    then
        team := '(
                    select min(t.team_cost_limit::numeric)
                    from auth_service.team_members as m
                    inner join auth_service.teams as t on m.team_id = t.id
                    where m.user_id = u.id and t.team_cost_limit::numeric <> ''NaN''
                )';
    end if;
    -- "offset 0" so that each is looked up once, however often it is named.
    return '
        select
            u.id::integer,
            greatest(
                coalesce(
                    said.override, least(said.role, said.team), ledger.default_cost_limit()
                ),
                0
            ),
            case
                when said.override is not null then ''override''
                when said.role <= coalesce(said.team, said.role) then ''role''
                when said.team is not null then ''team''
                else ''default''
            end
        from auth_service.users as u
        cross join lateral (
            select
                ' || override || ' as override,
                ' || role || ' as role,
                ' || team || ' as team
            offset 0
        ) as said';
end
$$;
