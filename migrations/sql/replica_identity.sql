do $$
declare
    keyless regclass;
begin
    for keyless in
        select c.oid::regclass
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname in ('ledger', 'analytics', 'analytics_build')
            and c.relname <> 'audit_logs_legacy'
            and c.relkind = 'r'
            and c.relreplident = 'd'
            and not exists (
                select from pg_index as i where i.indrelid = c.oid and i.indisprimary
            )
    loop
        begin
            execute format('alter table %s replica identity full', keyless);
        exception
            -- A role of its own runs what built it; its next run in full makes it anew.
            when insufficient_privilege then
                raise notice 'the replica identity of % is left as it is', keyless;
        end;
    end loop;
end
$$;
