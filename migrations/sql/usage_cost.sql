create or replace function ledger.usage_cost(
    model text,
    at timestamp with time zone,
    input bigint,
    output bigint,
    cached bigint default null,
    cache_write bigint default null
) returns numeric
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    named text := nullif(btrim(usage_cost.model), '');
    price ledger.model_prices;
begin
    if named is null then
        select h.model into named
        from ledger.model_history as h
        where h.valid_from <= usage_cost.at
        order by h.valid_from desc
        limit 1;
    end if;
    if named is null then
        select s.value into named from ledger.settings as s where s.name = 'default_model';
    end if;
    named := coalesce(ledger.canonical_model(named), named);

    -- The last price that began, the operator's own before the list's; it may have ended.
    select * into price
    from (
        select distinct on (p.is_own) p.*
        from ledger.model_prices as p
        where p.model = named and p.valid_from <= usage_cost.at
        order by p.is_own desc, p.valid_from desc
    ) as begun
    where begun.valid_to is null or begun.valid_to > usage_cost.at
    order by begun.is_own desc
    limit 1;

    return ledger.price_usage(
        usage_cost.input, usage_cost.output, usage_cost.cached, usage_cost.cache_write,
        price.input, price.output, price.cached_read, price.cache_write_5m
    );
end
$$;

comment on function ledger.usage_cost is
'ledger.price_usage at the price in force for one model at one time, the operator''s own before the list''s; NULL, never 0, where there is no price. A model may have any name that ledger.model_names knows; without one, it is the one that the operator or the settings name.';
