create or replace function ledger.price_usage(
    input bigint,
    output bigint,
    cached bigint,
    cache_write bigint,
    price_input numeric,
    price_output numeric,
    price_cached numeric,
    price_cache_write numeric
) returns numeric
language sql immutable parallel safe
as $$
    select case
        when least(input, output, cached, cache_write) < 0 then null
        else trim_scale(
            (
                input * price_input
                + output * price_output
                + case when coalesce(cached, 0) = 0 then 0 else cached * price_cached end
                + case
                    when coalesce(cache_write, 0) = 0 then 0 else cache_write * price_cache_write
                end
            ) * 0.000001
        )
    end
$$;

comment on function ledger.price_usage is
'Cost in US dollars, exact, of tokens that exclude each other, at prices per million. NULL where input or output is not known, a count is negative, or a price that is needed is missing; cached and cache_write count as 0 where nobody recorded them.';

create or replace function ledger.usage_cost(
    model text,
    at timestamp with time zone,
    input bigint,
    output bigint,
    cached bigint default null,
    cache_write bigint default null
) returns numeric
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select ledger.price_usage(
        usage_cost.input,
        usage_cost.output,
        usage_cost.cached,
        usage_cost.cache_write,
        p.input,
        p.output,
        p.cached_read,
        p.cache_write_5m
    )
    from ledger.model_prices as p
    where
        p.model = coalesce(
            usage_cost.model,
            (
                select h.model
                from ledger.model_history as h
                where h.valid_from <= usage_cost.at
                order by h.valid_from desc
                limit 1
            ),
            (select s.value from ledger.settings as s where s.name = 'default_model')
        )
        and p.valid_from <= usage_cost.at
        and (p.valid_to is null or p.valid_to > usage_cost.at)
    order by p.valid_from desc
    limit 1
$$;

comment on function ledger.usage_cost is
'ledger.price_usage at the price in force for one model at one time; NULL, never 0, where there is no price. Without a model, the one that the operator or the settings name.';
