create or replace function ledger.audit_as_json(value anyelement) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    field name;
    words text;
    part jsonb;
    whole jsonb := '{}';
begin
    begin
        return to_jsonb(value);
    exception when others then
        -- A value that jsonb has no room or no way for: below, each is tried by itself.
        null;
    end;

    for field in
        select a.attname
        from pg_attribute as a
        inner join pg_type as t on a.attrelid = t.typrelid
        where t.oid = pg_typeof(value) and a.attnum > 0 and not a.attisdropped
    loop
        execute format('select left(($1).%I::text, 10000000)', field) into words using value;
        begin
            execute format('select to_jsonb(($1).%I)', field) into part using value;
        exception when others then
            part := null;
        end;
        if part is null or length(words) = 10000000 then
            part := to_jsonb(words);
        end if;
        whole := whole || jsonb_build_object(field, part);
    end loop;
    return whole;
end
$$;

comment on function ledger.audit_as_json is
'A row as JSON, for any row: a value that jsonb can not hold is its text there, and of one that is too long the first ten million characters.';
