with

audit_events as (

    select * from {{ ref('int_audit_events') }}

),

model_prices as (

    select * from {{ ref('int_model_prices') }}

),

priced as (

    select
        audit_events.*,
        case
            when audit_events.is_request and not audit_events.is_split_impossible
                then ledger.price_usage(
                    audit_events.tokens_input,
                    audit_events.tokens_output,
                    audit_events.tokens_cached,
                    audit_events.tokens_cache_write,
                    model_prices.input_usd,
                    model_prices.output_usd,
                    model_prices.cached_read_usd,
                    model_prices.cache_write_5m_usd
                )
        end as cost_recomputed_usd,
        -- a total says nothing of its kinds: all of it at the price of input
        case
            when
                audit_events.is_request
                and (audit_events.tokens_input is null or audit_events.tokens_output is null)
                then ledger.price_usage(
                    audit_events.tokens_total_reported,
                    0,
                    0,
                    0,
                    model_prices.input_usd,
                    model_prices.input_usd,
                    model_prices.input_usd,
                    model_prices.input_usd
                )
        end as cost_of_total_usd

    from audit_events
    left join model_prices
        on
            audit_events.llm_model = model_prices.llm_model
            and audit_events.event_at >= model_prices.valid_from
            and audit_events.event_at < model_prices.valid_to

),

based as (

    select
        *,
        case
            when not is_request then null
            when cost_recorded_usd is not null then 'recorded'
            when cost_recomputed_usd is not null then 'computed'
            when cost_of_total_usd is not null then 'estimated'
            else 'unknown'
        end as cost_basis

    from priced

),

final as (

    select
        *,
        case when cost_basis = 'estimated' then cost_of_total_usd end as cost_estimated_usd,
        cost_recorded_usd - cost_recomputed_usd as cost_difference_usd,
        case cost_basis
            when 'recorded' then cost_recorded_usd
            when 'computed' then cost_recomputed_usd
            when 'estimated' then cost_of_total_usd
        end as cost_usd

    from based

)

select * from final
