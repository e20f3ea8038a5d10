do $omniledger$
declare
    role_name text;
    statement text;
    role_id oid;
    schemas text[];
    owner_name text;
    statements text[];
    is_written_through boolean;
    callers_path text := pg_catalog.current_setting('search_path');
begin
    -- As in the SQL that grants: nobody's functions but the server's.
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);
    schemas := array[
        'omni2', 'ledger', 'analytics', 'analytics_build', 'auth_service', '{legacy_schema}'
    ];
    owner_name := (
        select pg_get_userbyid(n.nspowner) from pg_namespace as n where n.nspname = 'ledger'
    );
    statements := array[
        'grant execute on function ledger.map_users() to public',
        'grant execute on function ledger.refresh_limits() to public'
    ];
    -- A gateway that writes through the role goes on, all the way back.
    is_written_through := exists (
        select from pg_auth_members as m
        inner join pg_roles as r on m.roleid = r.oid
        where r.rolname = 'omniledger_writer' and pg_has_role(m.member, m.roleid, 'usage')
    );
    if is_written_through and to_regclass('ledger.audit_logs_legacy') is not null then
        statements := statements || array[
            'grant select, insert, update, delete on ledger.audit_logs_legacy to omniledger_writer'
        ];
    end if;
    for role_name, role_id in
        select rolname, oid from pg_roles
        where
            rolname in (
                'omniledger_owner', 'omniledger_writer', 'omniledger_runner', 'omniledger_reader'
            )
            and not (rolname = 'omniledger_writer' and is_written_through)
    loop
        -- An owner's rights are its own, and nobody's gift: without them it is locked out.
        statements := statements || array(
            select format(
                'revoke all on %s %s from %I',
                case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass, role_name
            )
            from pg_class as c
            inner join pg_namespace as n on c.relnamespace = n.oid
            where
                n.nspname = any(schemas)
                and c.relkind in ('r', 'v', 'm', 'f', 'p', 'S')
                and c.relowner <> role_id
                and exists (
                    select from aclexplode(c.relacl) as a where a.grantee = role_id
                    union all
                    select from pg_attribute as o
                    cross join lateral aclexplode(o.attacl) as a
                    where o.attrelid = c.oid and a.grantee = role_id
                )
        );
        statements := statements || array(
            select format('revoke all on function %s from %I', p.oid::regprocedure, role_name)
            from pg_proc as p
            where
                p.pronamespace = 'ledger'::regnamespace
                and p.proowner <> role_id
                and exists (select from aclexplode(p.proacl) as a where a.grantee = role_id)
        );
        statements := statements || array(
            select format('revoke all on schema %I from %I', n.nspname, role_name)
            from pg_namespace as n
            where
                n.nspname = any(schemas)
                and n.nspowner <> role_id
                and exists (select from aclexplode(n.nspacl) as a where a.grantee = role_id)
        );
        statements := statements || array[
            format('alter default privileges for role %I in schema ledger revoke all on tables from %I', owner_name, role_name),
            format('alter default privileges for role %I in schema ledger revoke all on sequences from %I', owner_name, role_name)
        ];
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
    perform set_config('search_path', callers_path, false);
end
$omniledger$
