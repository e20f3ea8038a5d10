{{
    config(
        incremental_strategy='changed_days',
        unique_key='usage_date',
        indexes=[{'columns': ['usage_date', 'built_at', 'built_xmin']}],
        pre_hook="{{ find_changed_usage(days_of_other_models()) }}",
        post_hook=[
            "{{ keep_pruned_days() }}",
            "{{ keep_control_totals(source('omni2', 'audit_logs')) }}",
            "{{ remember_usage_inputs() }}",
        ],
    )
}}

with

events as (

    {{ changed_events(ref('int_audit_events_priced')) }}

),

daily as (

    select
        event_date as usage_date,
        user_id,
        llm_model,
        source_system,
        array_agg(distinct model_name) as model_names,

        count(*) filter (where is_request) as requests,
        count(*) filter (where is_request and is_error) as errors,
        count(*) filter (where is_request and is_blocked) as blocked,
        count(*) filter (where is_tool_call) as tool_calls,
        cast(sum(tool_calls_count) as bigint) as tool_calls_reported,

        cast(sum(tokens_input) as bigint) as tokens_input,
        cast(sum(tokens_output) as bigint) as tokens_output,
        cast(sum(tokens_cached) as bigint) as tokens_cached,
        cast(sum(tokens_cache_write) as bigint) as tokens_cache_write,
        cast(sum(tokens_total) as bigint) as tokens_total,
        cast(sum(tokens_total) filter (where cost_basis = 'unknown') as bigint)
            as tokens_cost_unknown,

        count(*) filter (where cost_basis = 'recorded') as requests_cost_recorded,
        count(*) filter (where cost_basis = 'computed') as requests_cost_computed,
        count(*) filter (where cost_basis = 'estimated') as requests_cost_estimated,
        count(*) filter (where cost_basis = 'unknown') as requests_cost_unknown,
        count(*) filter (where is_request and is_model_assumed) as requests_model_assumed,
        count(*) filter (where is_request and is_impossible) as requests_impossible,

        sum(cost_recorded_usd) as cost_recorded_usd,
        sum(cost_recomputed_usd) as cost_recomputed_usd,
        sum(cost_recomputed_usd) filter (where cost_basis = 'computed') as cost_computed_usd,
        sum(cost_estimated_usd) as cost_estimated_usd,
        sum(cost_difference_usd) as cost_difference_usd,
        sum(cost_usd) as cost_usd

    from events
    group by 1, 2, 3, 4

),

final as (

    select
        {{ row_key(['usage_date', 'user_id', 'llm_model', 'source_system']) }} as usage_key,
        daily.*,
        {{ build_stamp() }}

    from daily

)

select * from final
