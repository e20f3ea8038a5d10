{{
    config(
        incremental_strategy='changed_rows',
        unique_key='reconciliation_key',
        full_refresh=false,
    )
}}

with

focus as (

    select * from {{ ref('fct_focus') }}

),

provider_usage as (

    select * from {{ ref('stg_provider_usage') }}

),

provider_costs as (

    select * from {{ ref('stg_provider_costs') }}

),

provider_buckets as (

    select * from {{ ref('stg_provider_buckets') }}

),

model_prices as (

    select * from {{ ref('int_model_prices') }}

),

billed_days as (

    select
        bill_date,
        -- hours of a day say nothing of the day, whose other hours are still to come; and neither
        -- does a bucket of the whole day that was reported before its end
        coalesce(
            sum(bucket_end - bucket_start)
            filter (where fact = 'usage' and reported_at >= bucket_end) >= interval '1 day',
            false
        ) as is_usage_known,
        coalesce(
            sum(bucket_end - bucket_start)
            filter (where fact = 'cost' and reported_at >= bucket_end) >= interval '1 day',
            false
        ) as is_cost_known,
        bool_and(
            reported_at >= cast(bill_date + 31 as timestamp) at time zone 'UTC'
        ) as is_settled

    from provider_buckets
    group by 1

),

-- each name is looked up once
names as materialized (

    select
        model_name,
        {{ billed_model('model_name') }} as agreed_model

    from (
        select x_model as model_name from focus

        union distinct

        select provider_model as model_name from provider_usage

        union distinct

        select provider_model as model_name from provider_costs

        union distinct

        select llm_model as model_name from model_prices
    ) as met
    where model_name is not null

),

named_focus as (

    select
        focus.*,
        names.agreed_model

    from focus
    inner join names on focus.x_model = names.model_name

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

ledger_by_reporting_day as (

    select
        usage_date as bill_date,
        agreed_model as llm_model,
        x_token_kind as token_kind,
        sum(x_ledger_cost) as ledger_usd

    from named_focus
    where usage_date in (select billed_days.bill_date from billed_days)
    group by 1, 2, 3

),

ledger_by_bill_day as (

    select
        x_utc_date as bill_date,
        agreed_model as llm_model,
        x_token_kind as token_kind,
        sum(x_tokens) as tokens,
        sum(x_ledger_cost) as ledger_usd,
        sum(billed_cost) as priced_usd

    from named_focus
    where x_utc_date in (select billed_days.bill_date from billed_days)
    group by 1, 2, 3

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

cells as (

    select
        bill_date,
        llm_model,
        token_kind
    from ledger_by_reporting_day

    union

    select
        bill_date,
        llm_model,
        token_kind
    from ledger_by_bill_day

    union

    select
        bill_date,
        llm_model,
        token_kind
    from usage_by_kind

    union

    select
        bill_date,
        llm_model,
        token_kind
    from costs_by_kind

),

joined as (

    select
        cells.bill_date,
        cells.llm_model,
        cells.token_kind,
        billed_days.is_usage_known,
        billed_days.is_cost_known,
        billed_days.is_settled,
        cells.token_kind = 'other' as is_other,
        coalesce(reporting.ledger_usd, 0) as ledger_usd,
        coalesce(ours.ledger_usd, 0) as bill_day_usd,
        coalesce(ours.priced_usd, 0) as priced_usd,
        coalesce(ours.tokens, 0) as ledger_tokens,
        coalesce(
            sum(ours.tokens) over (partition by cells.bill_date, cells.llm_model), 0
        ) as ledger_tokens_of_model,
        case when billed_days.is_usage_known then coalesce(theirs.tokens, 0) end as billed_tokens,
        -- what the provider counted, at the prices of the ledger
        case
            when billed_days.is_usage_known and coalesce(theirs.unpriced, 0) = 0
                then coalesce(theirs.value_usd, 0)
        end as value_usd,
        coalesce(theirs.short_lived_usd, 0) as short_lived_usd,
        coalesce(theirs.tiered_value_usd, 0) as tiered_value_usd,
        coalesce(theirs.list_value_usd, 0) as list_value_usd,
        coalesce(theirs.tiered_list_value_usd, 0) as tiered_list_value_usd,
        coalesce(charges.billed_usd, 0) as charged_usd,
        charges.billed_list_usd as charged_list_usd,
        -- charges that name no tier, as some exports have them, are of all tiers together
        coalesce(theirs.counts_with_tier > 0, false)
        and coalesce(charges.charges_with_tier > 0, true) as is_tier_known,
        coalesce(charges.tiered_usd, 0) as tiered_usd,
        charges.tiered_list_usd

    from cells
    inner join billed_days on cells.bill_date = billed_days.bill_date
    left join ledger_by_reporting_day as reporting
        on
            cells.bill_date = reporting.bill_date
            and cells.llm_model = reporting.llm_model
            and cells.token_kind = reporting.token_kind
    left join ledger_by_bill_day as ours
        on
            cells.bill_date = ours.bill_date
            and cells.llm_model = ours.llm_model
            and cells.token_kind = ours.token_kind
    left join usage_by_kind as theirs
        on
            cells.bill_date = theirs.bill_date
            and cells.llm_model = theirs.llm_model
            and cells.token_kind = theirs.token_kind
    left join costs_by_kind as charges
        on
            cells.bill_date = charges.bill_date
            and cells.llm_model = charges.llm_model
            and cells.token_kind = charges.token_kind

),

judged as (

    select
        *,
        case
            when is_cost_known then charged_usd
            when not is_other then value_usd
        end as billed_usd,
        not is_other and value_usd is not null as is_value_known,
        is_cost_known and not is_other and value_usd is not null as is_rate_known,
        case when is_tier_known then tiered_usd else 0 end as taken_tiered_usd,
        case when is_tier_known then tiered_list_usd else 0 end as taken_tiered_list_usd,
        case when is_tier_known then tiered_value_usd else 0 end as taken_tiered_value_usd,
        list_value_usd - case when is_tier_known then tiered_list_value_usd else 0 end
            as untiered_list_value_usd

    from joined

),

-- a way from the ledger's dollars to the bill's, each step a cause
caused as (

    select
        *,
        bill_day_usd - ledger_usd as day_boundary_usd,
        priced_usd - bill_day_usd as price_usd,
        case when is_value_known then short_lived_usd - priced_usd else 0 end as tokens_usd,
        case when is_value_known then value_usd - short_lived_usd else 0 end as long_lived_usd,
        case when is_rate_known then taken_tiered_usd - taken_tiered_value_usd else 0 end
            as tier_usd,
        case
            when not is_rate_known then 0
            when charged_list_usd is null
                then
                    (charged_usd - taken_tiered_usd) - (value_usd - taken_tiered_value_usd)
            -- what the operator's own price takes off already is no difference
            else
                (charged_usd - taken_tiered_usd) - (charged_list_usd - taken_tiered_list_usd)
                - (value_usd - taken_tiered_value_usd) + untiered_list_value_usd
        end as discount_usd,
        case
            when is_rate_known and charged_list_usd is not null
                then
                    (charged_list_usd - taken_tiered_list_usd) - untiered_list_value_usd
            else 0
        end as list_price_usd,
        case when is_other and is_cost_known then charged_usd else 0 end as other_usd,
        case
            when is_value_known or (is_other and is_cost_known) then 0
            else billed_usd - priced_usd
        end as unexplained_usd

    from judged

),

final as (

    select
        {{ row_key(['bill_date', 'llm_model', 'token_kind']) }} as reconciliation_key,
        bill_date,
        nullif(llm_model, '') as llm_model,
        token_kind,
        is_settled,
        is_usage_known,
        is_cost_known,
        cast(ledger_tokens as numeric) as ledger_tokens,
        billed_tokens,
        billed_tokens - ledger_tokens as difference_tokens,
        trim_scale(ledger_usd) as ledger_usd,
        trim_scale(billed_usd) as billed_usd,
        trim_scale(billed_usd - ledger_usd) as difference_usd,
        trim_scale(price_usd) as cause_price_usd,
        trim_scale(
            case
                when ledger_tokens_of_model = 0 then 0
                when token_kind = 'cache_write' and ledger_tokens = 0 then 0
                else tokens_usd
            end
        ) as cause_token_count_usd,
        trim_scale(
            case
                when ledger_tokens_of_model = 0 then 0
                when token_kind = 'cache_write' and ledger_tokens = 0
                    then tokens_usd + long_lived_usd
                else long_lived_usd
            end
        ) as cause_cache_write_usd,
        trim_scale(
            case when ledger_tokens_of_model = 0 then tokens_usd + long_lived_usd else 0 end
        ) as cause_unseen_usd,
        trim_scale(day_boundary_usd) as cause_day_boundary_usd,
        trim_scale(discount_usd) as cause_discount_usd,
        trim_scale(list_price_usd) as cause_list_price_usd,
        trim_scale(tier_usd) as cause_tier_usd,
        trim_scale(other_usd) as cause_other_usd,
        trim_scale(unexplained_usd) as cause_unexplained_usd,
        {{ build_stamp() }}

    from caused

)

select * from final
