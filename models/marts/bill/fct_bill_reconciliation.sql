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

billed as (

    select * from {{ ref('int_bill_by_kind') }}

),

provider_buckets as (

    select * from {{ ref('stg_provider_buckets') }}

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

    from (select distinct x_model as model_name from focus) as met
    where model_name is not null

),

named_focus as (

    select
        focus.*,
        names.agreed_model

    from focus
    inner join names on focus.x_model = names.model_name

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
    from billed

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
        case when billed_days.is_usage_known then coalesce(billed.tokens, 0) end as billed_tokens,
        -- what the provider counted, at the prices of the ledger; nothing is worth nothing
        case
            when billed_days.is_usage_known and billed.bill_date is null then 0
            when billed_days.is_usage_known then billed.value_usd
        end as value_usd,
        coalesce(billed.short_lived_usd, 0) as short_lived_usd,
        coalesce(billed.tiered_value_usd, 0) as tiered_value_usd,
        coalesce(billed.untiered_list_value_usd, 0) as untiered_list_value_usd,
        coalesce(billed.charged_usd, 0) as charged_usd,
        billed.charged_list_usd,
        coalesce(billed.tiered_usd, 0) as tiered_usd,
        billed.tiered_list_usd

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
    left join billed
        on
            cells.bill_date = billed.bill_date
            and cells.llm_model = billed.llm_model
            and cells.token_kind = billed.token_kind

),

judged as (

    select
        *,
        case
            when is_cost_known then charged_usd
            when not is_other then value_usd
        end as billed_usd,
        not is_other and value_usd is not null as is_value_known,
        is_cost_known and not is_other and value_usd is not null as is_rate_known

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
        case when is_rate_known then tiered_usd - tiered_value_usd else 0 end as tier_usd,
        case
            when not is_rate_known then 0
            when charged_list_usd is null
                then (charged_usd - tiered_usd) - (value_usd - tiered_value_usd)
            -- what the operator's own price takes off already is no difference
            else
                (charged_usd - tiered_usd) - (charged_list_usd - tiered_list_usd)
                - (value_usd - tiered_value_usd) + untiered_list_value_usd
        end as discount_usd,
        case
            when is_rate_known and charged_list_usd is not null
                then (charged_list_usd - tiered_list_usd) - untiered_list_value_usd
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
