with

provider_usage as (

    select * from {{ ref('stg_provider_usage') }}

),

provider_costs as (

    select * from {{ ref('stg_provider_costs') }}

),

model_prices as (

    select * from {{ ref('int_model_prices') }}

),

-- each name is looked up once
names as materialized (

    select
        model_name,
        {{ billed_model('model_name') }} as agreed_model

    from (
        select provider_model as model_name from provider_usage

        union distinct

        select provider_model as model_name from provider_costs

        union distinct

        select llm_model as model_name from model_prices
    ) as met
    where model_name is not null

),

named_usage as (

    select
        provider_usage.*,
        coalesce(names.agreed_model, '') as llm_model

    from provider_usage
    left join names on provider_usage.provider_model = names.model_name

),

named_costs as (

    select
        provider_costs.*,
        coalesce(names.agreed_model, '') as llm_model

    from provider_costs
    left join names on provider_costs.provider_model = names.model_name

),

agreed_prices as (

    select
        model_prices.*,
        names.agreed_model

    from model_prices
    inner join names on model_prices.llm_model = names.model_name

),

named_prices as materialized (

    select
        agreed_model as llm_model,
        llm_model as price_name,
        valid_from,
        valid_to,
        jsonb_build_object(
            'input', input_usd,
            'output', output_usd,
            'cached', cached_read_usd,
            'cache_write_5m', cache_write_5m_usd,
            'cache_write_1h', cache_write_1h_usd
        ) as prices,
        jsonb_build_object(
            'input', list_input_usd,
            'output', list_output_usd,
            'cached', list_cached_read_usd,
            'cache_write_5m', list_cache_write_5m_usd,
            'cache_write_1h', list_cache_write_1h_usd
        ) as list_prices

    from agreed_prices

),

counted as (

    select
        bill_date,
        bucket_start,
        llm_model,
        provider_token_kind,
        coalesce(service_tier, 'standard') <> 'standard' as is_tiered,
        count(service_tier) as counts_with_tier,
        sum(quantity) as tokens

    from named_usage
    where provider_token_kind <> 'web_search'
    group by 1, 2, 3, 4, 5

),

valued as (

    select
        counted.*,
        counted.tokens * cast(price.prices ->> counted.provider_token_kind as numeric) * 0.000001
            as value_usd,
        counted.tokens
        * cast(price.list_prices ->> counted.provider_token_kind as numeric) * 0.000001
            as list_value_usd,
        -- as the ledger prices what is written to the cache, for however long
        counted.tokens * cast(
            coalesce(
                price.prices
                ->> replace(counted.provider_token_kind, 'cache_write_1h', 'cache_write_5m'),
                price.prices ->> counted.provider_token_kind
            ) as numeric
        ) * 0.000001 as short_lived_usd

    from counted
    left join lateral (
        select
            named_prices.prices,
            named_prices.list_prices,
            named_prices.price_name <> counted.llm_model as has_other_name,
            named_prices.price_name
        from named_prices
        where
            named_prices.llm_model = counted.llm_model
            and named_prices.valid_from <= counted.bucket_start
            and named_prices.valid_to > counted.bucket_start
        order by 3, 4
        limit 1
    ) as price on true

),

usage_by_kind as (

    select
        bill_date,
        llm_model,
        {{ ledger_token_kind('provider_token_kind') }} as token_kind,
        sum(tokens) as tokens,
        sum(value_usd) as value_usd,
        sum(list_value_usd) as list_value_usd,
        sum(short_lived_usd) as short_lived_usd,
        coalesce(sum(value_usd) filter (where is_tiered), 0) as tiered_value_usd,
        coalesce(sum(list_value_usd) filter (where is_tiered), 0) as tiered_list_value_usd,
        count(*) filter (where value_usd is null and tokens > 0) as unpriced,
        sum(counts_with_tier) as counts_with_tier

    from valued
    group by 1, 2, 3

),

costs_by_kind as (

    select
        bill_date,
        llm_model,
        case
            when cost_type = 'tokens' and provider_token_kind is not null
                then {{ ledger_token_kind('provider_token_kind') }}
            else 'other'
        end as token_kind,
        sum(amount_usd) as billed_usd,
        coalesce(
            sum(amount_usd) filter (where coalesce(service_tier, 'standard') <> 'standard'), 0
        ) as tiered_usd,
        case when count(list_amount_usd) = count(*) then sum(list_amount_usd) end
            as billed_list_usd,
        case
            when count(list_amount_usd) = count(*)
                then
                    coalesce(
                        sum(list_amount_usd)
                        filter (where coalesce(service_tier, 'standard') <> 'standard'),
                        0
                    )
        end as tiered_list_usd,
        count(service_tier) as charges_with_tier

    from named_costs
    group by 1, 2, 3

),

joined as (

    select
        coalesce(usage_by_kind.bill_date, costs_by_kind.bill_date) as bill_date,
        coalesce(usage_by_kind.llm_model, costs_by_kind.llm_model) as llm_model,
        coalesce(usage_by_kind.token_kind, costs_by_kind.token_kind) as token_kind,
        coalesce(usage_by_kind.tokens, 0) as tokens,
        case
            when coalesce(usage_by_kind.unpriced, 0) = 0 then coalesce(usage_by_kind.value_usd, 0)
        end as value_usd,
        coalesce(usage_by_kind.short_lived_usd, 0) as short_lived_usd,
        coalesce(usage_by_kind.tiered_value_usd, 0) as tiered_value_usd,
        coalesce(usage_by_kind.list_value_usd, 0) as list_value_usd,
        coalesce(usage_by_kind.tiered_list_value_usd, 0) as tiered_list_value_usd,
        coalesce(costs_by_kind.billed_usd, 0) as charged_usd,
        costs_by_kind.billed_list_usd as charged_list_usd,
        coalesce(costs_by_kind.tiered_usd, 0) as tiered_usd,
        costs_by_kind.tiered_list_usd,
        -- charges that name no tier, as some exports have them, are of all tiers together
        coalesce(usage_by_kind.counts_with_tier > 0, false)
        and coalesce(costs_by_kind.charges_with_tier > 0, true) as is_tier_known

    from usage_by_kind
    full join costs_by_kind
        on
            usage_by_kind.bill_date = costs_by_kind.bill_date
            and usage_by_kind.llm_model = costs_by_kind.llm_model
            and usage_by_kind.token_kind = costs_by_kind.token_kind

),

final as (

    select
        bill_date,
        llm_model,
        token_kind,
        tokens,
        trim_scale(value_usd) as value_usd,
        trim_scale(short_lived_usd) as short_lived_usd,
        trim_scale(case when is_tier_known then tiered_value_usd else 0 end) as tiered_value_usd,
        trim_scale(
            list_value_usd - case when is_tier_known then tiered_list_value_usd else 0 end
        ) as untiered_list_value_usd,
        charged_usd,
        charged_list_usd,
        case when is_tier_known then tiered_usd else 0 end as tiered_usd,
        case when is_tier_known then tiered_list_usd else 0 end as tiered_list_usd

    from joined

)

select * from final
