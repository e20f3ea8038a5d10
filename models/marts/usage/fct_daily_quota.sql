{{
    config(
        incremental_strategy='changed_days',
        unique_key='usage_date',
        indexes=[{'columns': ['usage_date', 'built_at', 'built_xmin']}],
        pre_hook=["{{ find_changed_days(
            events=ref('stg_audit_logs'),
            deletions=ref('stg_deleted_days'),
            source_table='audit_logs',
            settings=['reporting_timezone', 'default_model', 'unpriced_tokens'],
            settings_view=ref('int_settings'),
            inputs=ref('int_quota_inputs'),
            inputs_by_model=false,
            told_otherwise=days_of_other_terms(ref('stg_limit_history'), ref('int_model_prices')),
        ) }}", "{{ plan_for_many_rows() }}"],
        post_hook=[
            "{{ keep_pruned_days() }}",
            "{{ remember_build_inputs(
                settings=['reporting_timezone', 'default_model', 'unpriced_tokens'],
                inputs=ref('int_quota_inputs'),
            ) }}",
        ],
    )
}}

with

events as (

    {{ changed_events(ref('int_audit_events')) }}

),

counted as (

    select
        event_date as usage_date,
        user_id,
        event_at,
        audit_log_id,
        tokens_total_reported,
        cost_recorded_usd,
        case when cost_recorded_usd is null then tokens_total_reported end as tokens_unpriced

    from events
    where user_id is not null and is_success

),

terms as (

    {{ quota_terms('counted', ref('stg_limit_history'), ref('int_model_prices')) }}

),

priced as (

    select
        counted.*,
        terms.cost_limit_usd,
        terms.limit_basis,
        terms.unpriced_input_usd,
        case
            when {{ setting_literal('unpriced_tokens') }} = 'count'
                then ledger.price_usage(
                    counted.tokens_unpriced, 0, 0, 0, terms.unpriced_input_usd, 0, 0, 0
                )
        end as cost_unpriced_usd

    from counted
    inner join terms
        on counted.usage_date = terms.usage_date and counted.user_id = terms.user_id

),

running as (

    select
        *,
        sum(coalesce(cost_recorded_usd, 0) + coalesce(cost_unpriced_usd, 0)) over (
            partition by usage_date, user_id
            order by event_at, audit_log_id
            rows between unbounded preceding and current row
        ) as cost_so_far_usd

    from priced

),

daily as (

    select
        usage_date,
        user_id,

        count(*) as rows_counted,
        cast(coalesce(sum(tokens_total_reported), 0) as bigint) as tokens_used,
        cast(coalesce(sum(tokens_unpriced), 0) as bigint) as tokens_unpriced,
        coalesce(sum(cost_recorded_usd), 0) as cost_recorded_usd,
        coalesce(sum(cost_unpriced_usd), 0) as cost_unpriced_usd,
        coalesce(sum(cost_recorded_usd), 0) + coalesce(sum(cost_unpriced_usd), 0) as cost_used_usd,

        min(cost_limit_usd) as cost_limit_usd,
        min(limit_basis) as limit_basis,
        min(unpriced_input_usd) as unpriced_input_usd,
        min(event_at) filter (where cost_so_far_usd >= cost_limit_usd) as crossed_at

    from running
    group by usage_date, user_id

),

final as (

    select
        {{ row_key(['usage_date', 'user_id']) }} as quota_key,
        usage_date,
        user_id,
        rows_counted,
        tokens_used,
        tokens_unpriced,
        cost_recorded_usd,
        cost_unpriced_usd,
        cost_used_usd,
        cost_limit_usd,
        limit_basis,
        unpriced_input_usd,
        {{ share('cost_used_usd', 'cost_limit_usd') }} as used_share,
        cost_used_usd >= cost_limit_usd as is_exceeded,
        crossed_at,
        greatest(cost_used_usd - cost_limit_usd, 0) as overspend_usd,
        {{ build_stamp() }}

    from daily

)

select * from final
