create or replace function ledger.column_kind(relation text, name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select t.typcategory::text
    from pg_attribute as a
    inner join pg_type as t on a.atttypid = t.oid
    where a.attrelid = to_regclass(column_kind.relation) and a.attname = column_kind.name
$$;

comment on function ledger.column_kind is
'What kind of type a column has, as pg_type.typcategory calls it: N is a number, S a text.';

create or replace function ledger.ids_match(one text, kind text, other text, other_kind text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when kind = other_kind then one || ' = ' || other
        else one || '::text = ' || other || '::text'
    end
$$;

comment on function ledger.ids_match is
'SQL that is true where two ids are one, also where one of them is kept as a text.';

create or replace function ledger.limit_of(named text, kind text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when kind = 'N' then named || '::numeric'
        else 'case when ' || named || '::text ~ ''^ *[+-]?([0-9]{1,100}([.][0-9]*)?|[.][0-9]+) *$'' then ' || named
            || '::text::numeric end'
    end
$$;

comment on function ledger.limit_of is
'SQL of a limit, NULL where a text holds no number.';

create or replace function ledger.limits_query() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    override text := 'null::numeric';
    role text := 'null::numeric';
    team text := 'null::numeric';
    said text;
    user_kind text := ledger.column_kind('auth_service.users', 'id');
begin
    if not ledger.has_columns('auth_service.users', 'id') then
        return 'select null::integer, null::numeric, null::text from (select null::integer as id where false) as u';
    end if;
    if ledger.has_columns('auth_service.user_overrides', 'user_id', 'custom_cost_limit') then
        said := ledger.limit_of(
            'o.custom_cost_limit',
            ledger.column_kind('auth_service.user_overrides', 'custom_cost_limit')
        );
        override := '(
                    select min(' || said || ')
                    from auth_service.user_overrides as o
                    where ' || ledger.ids_match(
                        'o.user_id', ledger.column_kind('auth_service.user_overrides', 'user_id'),
                        'u.id', user_kind
                    ) || ' and ' || said || ' <> ''NaN''
                )';
    end if;
    if ledger.has_columns('auth_service.users', 'role_id')
        and ledger.has_columns('auth_service.roles', 'id', 'cost_limit_daily')
    then
        said := ledger.limit_of(
            'r.cost_limit_daily', ledger.column_kind('auth_service.roles', 'cost_limit_daily')
        );
        role := '(
                    select min(' || said || ')
                    from auth_service.roles as r
                    where ' || ledger.ids_match(
                        'r.id', ledger.column_kind('auth_service.roles', 'id'),
                        'u.role_id', ledger.column_kind('auth_service.users', 'role_id')
                    ) || ' and ' || said || ' <> ''NaN''
                )';
    end if;
    if ledger.has_columns('auth_service.team_members', 'team_id', 'user_id')
        and ledger.has_columns('auth_service.teams', 'id', 'team_cost_limit')
    then
        said := ledger.limit_of(
            't.team_cost_limit', ledger.column_kind('auth_service.teams', 'team_cost_limit')
        );
        team := '(
                    select min(' || said || ')
                    from auth_service.team_members as m
                    inner join auth_service.teams as t on ' || ledger.ids_match(
                        'm.team_id', ledger.column_kind('auth_service.team_members', 'team_id'),
                        't.id', ledger.column_kind('auth_service.teams', 'id')
                    ) || '
                    where ' || ledger.ids_match(
                        'm.user_id', ledger.column_kind('auth_service.team_members', 'user_id'),
                        'u.id', user_kind
                    ) || ' and ' || said || ' <> ''NaN''
                )';
    end if;
    -- Only a number of the ledger's own type is a person's. And "offset 0", so that each limit is
    -- looked up once, however often it is named.
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
        from (
            select * from auth_service.users where id::numeric between -2147483648 and 2147483647
        ) as u
        cross join lateral (
            select
                ' || override || ' as override,
                ' || role || ' as role,
                ' || team || ' as team
            offset 0
        ) as said';
end
$$;

comment on function ledger.limits_query is
'The one definition of what a user may spend in a day, as SQL over the tables that the gateway has: the user''s own override; else the lowest that role and teams set; else the default. NULL sets nothing, and below zero is zero.';
