do $omniledger$
declare
    found name;
begin
    for found in
        select t.tgname
        from pg_trigger as t
        where
            t.tgrelid = '{table}'::regclass
            and t.tgenabled = 'O'
            and t.tgname ~ '^omniledger_'
            -- Those of the old table's fire when they did.
            and t.tgname !~ '^omniledger_carried_'
    loop
        execute format('alter table {table} enable always trigger %I', found);
    end loop;
end
$omniledger$
