do $omniledger$
declare
    role_name text;
    statement text;
    owner_name text;
    statements text[];
    callers_path text := pg_catalog.current_setting('search_path');
    runs_write constant text[] := array[
        'alerts', 'bill_imports', 'ingests', 'limit_history', 'model_history', 'model_names',
        'model_prices', 'provider_buckets', 'provider_costs', 'provider_costs_history',
        'provider_usage', 'provider_usage_history', 'run_steps', 'runs', 'settings'
    ];
begin
    -- Who runs this may all: whoever can create in a schema of its search path must not have it
    -- call a function of theirs. The next upgrade's or psql's statements get back what they had.
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);
    owner_name := (
        select pg_get_userbyid(n.nspowner) from pg_namespace as n where n.nspname = 'ledger'
    );
    statements := array[]::text[];

    -- Roles belong to the whole cluster: another database may have made them.
    foreach role_name in array array[
        'omniledger_owner', 'omniledger_writer', 'omniledger_runner', 'omniledger_reader'
    ] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise notice 'The role % is not made, for that takes CREATEROLE; `omniledger roles sql` prints what an administrator runs.', role_name;
                    perform set_config('search_path', callers_path, false);
                    return;
            end;
        end if;
    end loop;

    -- Migrates: what the owners of the tables may, it may. Never through a superuser.
    statements := statements || array(
        select distinct format('grant %I to omniledger_owner', r.rolname)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        inner join pg_roles as r on c.relowner = r.oid
        where
            n.nspname in ('omni2', 'ledger')
            and c.relkind in ('r', 'p', 'v', 'S')
            and not r.rolsuper
            and r.rolname <> 'omniledger_owner'
            and not pg_has_role('omniledger_owner', r.oid, 'usage')
    );
    -- A way back drops views that runs made.
    statements := statements || array['grant omniledger_runner to omniledger_owner'];
    -- What runs make is the runners': the owners of the tables go on running.
    statements := statements || array(
        select distinct format('grant omniledger_runner to %I', r.rolname)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        inner join pg_roles as r on c.relowner = r.oid
        where
            n.nspname in ('omni2', 'ledger')
            and c.relkind in ('r', 'p', 'v', 'S')
            and r.rolname <> 'omniledger_owner'
            and not pg_has_role(r.oid, 'omniledger_runner', 'usage')
    );
    statements := statements || array(
        select format('grant usage, create on schema %I to omniledger_owner', n.nspname)
        from pg_namespace as n
        where n.nspname in ('omni2', 'ledger', 'analytics', 'analytics_build')
    );

    -- What the gateway needs, under the new name and the old one.
    statements := statements || array[
        'grant usage on schema omni2, ledger to omniledger_writer',
        'grant select, insert, update, delete on all tables in schema omni2 to omniledger_writer',
        'grant usage on all sequences in schema omni2 to omniledger_writer',
        'grant select on ledger.settings, ledger.audit_servers, ledger.model_prices, ledger.model_names, ledger.model_history to omniledger_writer'
    ];
    statements := statements || array(
        select format(
            'grant select, insert, update, delete on %s to omniledger_writer', c.oid::regclass
        )
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            c.relname = 'audit_logs'
            and n.nspname = '{legacy_schema}'
            and c.relkind in ('r', 'v')
    );
    statements := statements || array(
        select format('grant usage on schema %I to omniledger_writer', '{legacy_schema}')
        where to_regnamespace(quote_ident('{legacy_schema}')) is not null
    );
    -- Who wrote the old table writes its view; the table itself is kept as it was.
    statements := statements || array(
        select 'revoke all on ledger.audit_logs_legacy from omniledger_writer'
        where to_regclass('ledger.audit_logs_legacy') is not null
    );
    -- The old name's ids go on from the old sequence; an inspection reads how far it came.
    statements := statements || array(
        select distinct format('grant %s on sequence %s to %I', r.privilege, s.oid::regclass, r.name)
        from (values ('usage', 'omniledger_writer'), ('select', 'omniledger_runner'))
            as r (privilege, name)
        cross join pg_class as v
        inner join pg_namespace as n on v.relnamespace = n.oid
        inner join pg_attrdef as d on d.adrelid = v.oid
        inner join pg_depend as p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid
        inner join pg_class as s on p.refobjid = s.oid and s.relkind = 'S'
        where v.relname = 'audit_logs' and n.nspname = '{legacy_schema}'
    );

    -- Builds, judges and publishes; of the ledger it writes what runs write, and not the merge's.
    statements := statements || array[
        'grant usage on schema omni2, ledger to omniledger_runner',
        'grant usage, create on schema analytics, analytics_build to omniledger_runner',
        'grant select on all tables in schema omni2, ledger to omniledger_runner',
        'grant usage on all sequences in schema ledger to omniledger_runner',
        'grant select on all sequences in schema omni2 to omniledger_runner',
        'revoke execute on function ledger.map_users() from public',
        'grant execute on function ledger.map_users() to omniledger_runner',
        'revoke execute on function ledger.refresh_limits() from public',
        'grant execute on function ledger.refresh_limits() to omniledger_runner',
        format('alter default privileges for role %I in schema ledger grant select on tables to omniledger_runner', owner_name),
        format('alter default privileges for role %I in schema ledger revoke insert, update, delete on tables from omniledger_runner', owner_name),
        format('alter default privileges for role %I in schema ledger grant usage on sequences to omniledger_runner', owner_name)
    ];
    statements := statements || array(
        select format('grant insert, update, delete on %s to omniledger_runner', c.oid::regclass)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname = 'ledger'
            and c.relkind = 'r'
            and c.relname = any(runs_write)
    );
    -- An earlier version gave more: a removal that a runner noted the owner would carry out, and
    -- what the gate found, and who published it all the same, is only added to.
    statements := statements || array(
        select format('revoke insert, update, delete on %s from omniledger_runner', c.oid::regclass)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname = 'ledger'
            and c.relkind in ('r', 'v')
            and c.relname <> all(runs_write)
            and exists (
                select from aclexplode(c.relacl) as a
                inner join pg_roles as r on a.grantee = r.oid
                where
                    r.rolname = 'omniledger_runner'
                    and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
            )
    );
    statements := statements || array(
        select format('grant insert %s on %s to omniledger_runner', w.columns, c.oid::regclass)
        from (
            values
            ('gate_results', ''),
            -- Who and when, the server says.
            ('forced_publications', '(run_id, why, overridden, days, rows_published)')
        ) as w (name, columns)
        inner join pg_class as c on w.name = c.relname
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = 'ledger'
    );
    statements := statements || array(
        select format('grant select on %s to omniledger_runner', c.oid::regclass)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname = 'auth_service'
            and c.relname in ('users', 'roles', 'teams', 'team_members', 'user_overrides')
            and c.relkind in ('r', 'v', 'p')
    );
    statements := statements || array(
        select format('grant usage on schema auth_service to %I', r.name)
        from (values ('omniledger_runner'), ('omniledger_writer')) as r (name)
        where to_regnamespace('auth_service') is not null
    );
    statements := statements || array(
        select format('grant select on %s to omniledger_writer', c.oid::regclass)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = 'auth_service' and c.relname in ('users', 'roles')
    );
    -- Whose addresses tell who is who: what an inspection and a list of users read of the old ones.
    statements := statements || array(
        select unnest(array[
            format('grant usage on schema %I to omniledger_runner', n.nspname),
            format('grant select (id, email) on %s to omniledger_runner', c.oid::regclass)
        ])
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname = '{legacy_schema}'
            and c.relkind in ('r', 'v', 'p')
            and (
                c.relname = 'users'
                or exists (
                    select from pg_constraint as k
                    inner join pg_attribute as a
                        on k.conrelid = a.attrelid and k.conkey[1] = a.attnum
                    where
                        k.confrelid = c.oid
                        and k.contype = 'f'
                        and (k.conrelid::regclass::text, a.attname) in (
                            ('omni2.audit_logs', 'legacy_user_id'),
                            ('ledger.audit_logs_legacy', 'user_id')
                        )
                )
            )
            and 2 = (
                select count(*) from pg_attribute as a
                where
                    a.attrelid = c.oid and a.attname in ('id', 'email') and not a.attisdropped
            )
    );
    -- What runs of another user built: whoever runs must be able to build it again.
    statements := statements || array(
        select format(
            'alter %s %s owner to omniledger_runner',
            case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass
        )
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname in ('analytics', 'analytics_build')
            and c.relkind in ('r', 'v')
            and pg_get_userbyid(c.relowner) <> 'omniledger_runner'
    );

    -- Reads the product, and prices; no raw row, no name of a user but those of the marts.
    statements := statements || array[
        'grant usage on schema analytics, ledger to omniledger_reader',
        'grant select on all tables in schema analytics to omniledger_reader',
        'grant select on ledger.settings, ledger.model_prices, ledger.model_names, ledger.model_history, ledger.runs to omniledger_reader'
    ];

    -- Everybody's but where default privileges take functions from PUBLIC.
    statements := statements || array(
        select format(
            'grant execute on function %s to omniledger_writer, omniledger_runner, omniledger_reader',
            p.oid::regprocedure
        )
        from pg_proc as p
        where
            p.pronamespace = 'ledger'::regnamespace
            and p.prorettype <> 'trigger'::regtype
            and p.proname not in ('map_users', 'refresh_limits')
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
    );

    -- What an earlier way back took from owners.
    statements := statements || array(
        select format(
            'grant all on %s %s to %I',
            case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass, r.rolname
        )
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        inner join pg_roles as r on c.relowner = r.oid
        where
            n.nspname in ('omni2', 'ledger', 'analytics', 'analytics_build')
            and c.relkind in ('r', 'v', 'm', 'f', 'p', 'S')
            and r.rolname in ('omniledger_owner', 'omniledger_runner')
            and c.relacl is not null
            and not exists (select from aclexplode(c.relacl) as a where a.grantee = c.relowner)
    );
    statements := statements || array(
        select format('grant all on schema %I to %I', n.nspname, r.rolname)
        from pg_namespace as n
        inner join pg_roles as r on n.nspowner = r.oid
        where
            n.nspname in ('omni2', 'ledger', 'analytics', 'analytics_build')
            and r.rolname = 'omniledger_owner'
            and n.nspacl is not null
            and not exists (select from aclexplode(n.nspacl) as a where a.grantee = n.nspowner)
    );

    foreach statement in array statements loop
        begin
            execute statement;
        exception
            when insufficient_privilege or invalid_grant_operation then
                raise notice 'Left to an administrator (`omniledger roles sql`): %;', statement;
        end;
    end loop;
    perform set_config('search_path', callers_path, false);
end
$omniledger$
