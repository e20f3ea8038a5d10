create or replace function ledger.has_columns(relation text, variadic names text []) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select count(*) = cardinality(has_columns.names)
    from pg_attribute as a
    where
        a.attrelid = to_regclass(has_columns.relation)
        and a.attnum > 0
        and not a.attisdropped
        and a.attname::text = any(has_columns.names)
$$;

comment on function ledger.has_columns is
'Whether there is a relation that has all of these columns.';

create or replace function ledger.day_starts_at(day date, zone text)
returns timestamp with time zone
language plpgsql stable
as $$
declare
    midnight timestamp with time zone := day::timestamp at time zone zone;
begin
    -- Where clocks go back over midnight, 00:00 comes twice and PostgreSQL takes the second.
    if ((midnight - interval '1 hour') at time zone zone)::date = day then
        return midnight - interval '1 hour';
    end if;
    return midnight;
end
$$;

comment on function ledger.day_starts_at is
'The moment at which a day of a time zone begins.';
