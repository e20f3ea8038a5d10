{{
    config(
        incremental_strategy='changed_days',
        unique_key='usage_date',
        indexes=[{'columns': ['usage_date', 'built_at', 'built_xmin']}],
        pre_hook="{{ find_changed_usage(days_of_other_models('jsonb_array_elements_text(model_names)')) }}",
        post_hook=[
            "{{ keep_pruned_days() }}",
            "{{ remember_usage_inputs() }}",
        ],
    )
}}

with

events as (

    {{ changed_events(ref('int_audit_events_priced')) }}

),

model_prices as (

    select * from {{ ref('int_model_prices') }}

),

called as (

    select
        event_date as usage_date,
        llm_model,
        jsonb_agg(distinct model_name) as model_names

    from events
    where is_request
    group by 1, 2

),

requests as (

    select
        events.event_date as usage_date,
        cast(events.event_at at time zone 'UTC' as date) as utc_day,
        events.user_id,
        events.llm_model,
        events.source_system,
        case
            when events.cost_recomputed_usd is not null then 'computed'
            else events.cost_basis
        end as cost_basis,
        events.tokens_input is not null
        and events.tokens_output is not null
        and not events.is_split_impossible as has_split,
        events.tokens_input,
        events.tokens_output,
        events.tokens_cached,
        events.tokens_cache_write,
        events.tokens_total,
        coalesce(
            events.cost_recorded_usd, events.cost_recomputed_usd, events.cost_estimated_usd
        ) as ledger_usd,
        model_prices.input_usd,
        model_prices.output_usd,
        model_prices.cached_read_usd,
        model_prices.cache_write_5m_usd,
        model_prices.list_input_usd,
        model_prices.list_output_usd,
        model_prices.list_cached_read_usd,
        model_prices.list_cache_write_5m_usd

    from events
    left join model_prices
        on
            events.cost_recomputed_usd is not null
            and events.llm_model = model_prices.llm_model
            and events.event_at >= model_prices.valid_from
            and events.event_at < model_prices.valid_to
    where events.is_request

),

grouped as (

    select
        row_number() over () as group_number,
        usage_date,
        utc_day,
        user_id,
        llm_model,
        source_system,
        cost_basis,
        has_split,
        input_usd,
        output_usd,
        cached_read_usd,
        cache_write_5m_usd,
        list_input_usd,
        list_output_usd,
        list_cached_read_usd,
        list_cache_write_5m_usd,
        sum(tokens_input) as tokens_input,
        sum(tokens_output) as tokens_output,
        sum(tokens_cached) as tokens_cached,
        sum(tokens_cache_write) as tokens_cache_write,
        sum(tokens_total) as tokens_total,
        coalesce(sum(ledger_usd), 0) as ledger_usd

    from requests
    group by 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

),

kinds as (

    select
        grouped.*,
        kinds.place,
        kinds.token_kind,
        kinds.meter,
        kinds.unit_price,
        kinds.list_unit_price,
        coalesce(kinds.tokens, 0) as tokens,
        -- by this, what the ledger holds for all kinds together is dealt out to them
        coalesce(
            case
                when not grouped.has_split or kinds.token_kind = 'unsplit' then 0
                when grouped.cost_basis = 'computed' then kinds.tokens * kinds.unit_price * 0.000001
                else kinds.tokens
            end,
            0
        ) as weight

    from grouped
    cross join
        lateral (
            values
            (
                1,
                'input',
                'Input Tokens',
                grouped.tokens_input,
                grouped.input_usd,
                grouped.list_input_usd
            ),
            (
                2,
                'output',
                'Output Tokens',
                grouped.tokens_output,
                grouped.output_usd,
                grouped.list_output_usd
            ),
            (
                3,
                'cached',
                'Cached Input Tokens',
                grouped.tokens_cached,
                grouped.cached_read_usd,
                grouped.list_cached_read_usd
            ),
            (
                4,
                'cache_write',
                'Cache Write Tokens',
                grouped.tokens_cache_write,
                grouped.cache_write_5m_usd,
                grouped.list_cache_write_5m_usd
            ),
            (
                5,
                'unsplit',
                'Tokens of Unknown Kind',
                case when not grouped.has_split then grouped.tokens_total end,
                null,
                null
            )
        ) as kinds (place, token_kind, meter, tokens, unit_price, list_unit_price)
    where grouped.has_split or kinds.token_kind = 'unsplit'

),

weighed as (

    select
        *,
        sum(weight) over (partition by group_number) as whole,
        sum(weight) over (partition by group_number order by place) as up_to_here,
        sum(weight) over (partition by group_number order by place) - weight as before_here

    from kinds

),

dealt_out as (

    select
        *,
        case
            when whole = 0 then case when token_kind = 'unsplit' then ledger_usd else 0 end
            else
                {{ share_of_part('ledger_usd') }}
        end as kind_ledger_usd

    from weighed

),

-- one row of all groups that have the same prices for this kind
summed as (

    select
        usage_date,
        utc_day,
        user_id,
        llm_model,
        source_system,
        cost_basis,
        token_kind,
        meter,
        cost_basis = 'computed' and token_kind <> 'unsplit' as is_priced,
        case when cost_basis = 'computed' and token_kind <> 'unsplit' then unit_price end
            as unit_price,
        case when cost_basis = 'computed' and token_kind <> 'unsplit' then list_unit_price end
            as list_unit_price,
        sum(tokens) as tokens,
        sum(kind_ledger_usd) as kind_ledger_usd,
        sum(case when cost_basis = 'computed' then weight else kind_ledger_usd end) as charge_usd

    from dealt_out
    where tokens > 0 or kind_ledger_usd <> 0
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11

),

charges as (

    select
        usage_date,
        utc_day,
        user_id,
        llm_model,
        source_system,
        cost_basis,
        token_kind,
        meter,
        is_priced,
        trim_scale(unit_price) as unit_price,
        trim_scale(list_unit_price) as list_unit_price,
        tokens,
        trim_scale(kind_ledger_usd) as kind_ledger_usd,
        trim_scale(charge_usd) as charge_usd,
        trim_scale(case when is_priced then tokens * list_unit_price * 0.000001 else charge_usd end)
            as list_usd,
        greatest(
            {{ day_starts_at('usage_date') }},
            cast(utc_day as timestamp) at time zone 'UTC'
        ) as period_start,
        least(
            {{ day_starts_at('usage_date + 1') }},
            cast(utc_day + 1 as timestamp) at time zone 'UTC'
        ) as period_end,
        date_trunc('month', cast(utc_day as timestamp)) as month_start,
        {{ model_provider('llm_model') }} as maker

    from summed

),

named as (

    select
        charges.*,
        called.model_names

    from charges
    inner join called
        on
            charges.usage_date = called.usage_date
            and charges.llm_model = called.llm_model

),

final as (

    select
        {{ row_key([
            'usage_date', 'utc_day', 'user_id', 'llm_model', 'source_system', 'cost_basis',
            'token_kind', 'unit_price', 'list_unit_price',
        ]) }} as focus_key,
        usage_date,
        llm_model,
        model_names,
        {%- for name, kind in focus_columns().items() %}
            {{ kind }} as {{ name }},
        {%- endfor %}
        utc_day as x_utc_date,
        user_id as x_user_id,
        llm_model as x_model,
        source_system as x_source_system,
        token_kind as x_token_kind,
        cast(tokens as bigint) as x_tokens,
        cost_basis as x_cost_basis,
        kind_ledger_usd as x_ledger_cost,
        {{ build_stamp() }}

    from named

)

select * from final
