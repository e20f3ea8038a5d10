do $omniledger$
declare
    wanted record;
    added text[] := '{}';
begin
    for wanted in
        with renamed (name, target) as (values {renamed}),

        known (target, type) as (values {known}),

        gateway as (
            select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type
            from pg_attribute as a
            where
                a.attrelid = 'omni2.audit_logs'::regclass
                and a.attname in ({gateway})
                and not a.attisdropped
        ),

        legacy as (
            select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type
            from pg_attribute as a
            inner join pg_class as c on a.attrelid = c.oid
            where
                c.oid = to_regclass({legacy})
                and c.relkind = 'r'
                and a.attnum > 0
                and not a.attisdropped
        ),

        meant as (
            select
                l.type,
                l.name,
                coalesce(r.target, l.name) as target,
                r.target is null and exists (
                    select from renamed as o
                    inner join legacy as p on o.name = p.name
                    where o.target = l.name
                ) as is_taken
            from legacy as l
            left join renamed as r on l.name = r.name
        ),

        placed as (
            select
                m.type,
                case when m.is_taken or g.type <> m.type then 'legacy_' || m.name else m.target end
                    as target
            from meant as m
            left join gateway as g on m.target = g.name
        )

        select coalesce(p.target, k.target) as target, coalesce(p.type, k.type) as type
        from placed as p
        full join known as k on p.target = k.target
        where not exists (
            select from pg_attribute as a
            where
                a.attrelid = 'omni2.audit_logs'::regclass
                and a.attname = coalesce(p.target, k.target)
                and not a.attisdropped
        )
        order by 1
    loop
        execute format('alter table omni2.audit_logs add column %I %s', wanted.target, wanted.type);
        added := added || wanted.target;
    end loop;

    insert into ledger.settings (name, value)
    values
        ('added_columns', to_jsonb(added)::text),
        ('loosened_columns', (
            select coalesce(jsonb_agg(a.attname), '[]')::text
            from pg_attribute as a
            where
                a.attrelid = 'omni2.audit_logs'::regclass
                and a.attname in ({loosened})
                and a.attnotnull
        ))
    on conflict (name) do nothing;
end
$omniledger$
