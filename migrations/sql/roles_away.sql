do $omniledger$
declare
    role_name text;
    statement text;
    schemas text := (
        select string_agg(quote_ident(n.nspname), ', ')
        from pg_namespace as n
        where n.nspname in ('omni2', 'ledger', 'analytics', 'analytics_build', 'auth_service')
    );
    owner_name text := (
        select pg_get_userbyid(n.nspowner) from pg_namespace as n where n.nspname = 'ledger'
    );
    statements text[] := array[
        'grant execute on function ledger.map_users() to public',
        'grant execute on function ledger.refresh_limits() to public'
    ];
begin
    for role_name in
        select rolname from pg_roles
        where rolname in (
            'omniledger_owner', 'omniledger_writer', 'omniledger_runner', 'omniledger_reader'
        )
    loop
        statements := statements || array[
            format('revoke all on all tables in schema %s from %I', schemas, role_name),
            format('revoke all on all sequences in schema %s from %I', schemas, role_name),
            format('revoke all on all functions in schema ledger from %I', role_name),
            format('revoke all on schema %s from %I', schemas, role_name),
            format('revoke all on all sequences in schema %I from %I', '{legacy_schema}', role_name),
            format('revoke all on schema %I from %I', '{legacy_schema}', role_name),
            format('alter default privileges for role %I in schema ledger revoke all on tables from %I', owner_name, role_name),
            format('alter default privileges for role %I in schema ledger revoke all on sequences from %I', owner_name, role_name)
        ];
        statements := statements || array(
            select format('revoke all on %s from %I', c.oid::regclass, role_name)
            from pg_class as c
            inner join pg_namespace as n on c.relnamespace = n.oid
            where c.relname = 'audit_logs' and n.nspname = '{legacy_schema}'
        );
    end loop;
    foreach statement in array statements loop
        begin
            execute statement;
        exception
            when insufficient_privilege or invalid_schema_name then
                raise notice 'Left to an administrator: %;', statement;
        end;
    end loop;
    begin
        drop schema analytics_build;
    exception
        when dependent_objects_still_exist or insufficient_privilege or invalid_schema_name then null;
    end;
    begin
        drop schema analytics;
    exception
        when dependent_objects_still_exist or insufficient_privilege or invalid_schema_name then null;
    end;
end
$omniledger$
