{{
    config(
        incremental_strategy='changed_days',
        unique_key='usage_date',
        indexes=[{'columns': ['usage_date', 'built_at', 'built_xmin']}],
        pre_hook="{{ find_changed_days(
            events=ref('stg_audit_logs'),
            deletions=ref('stg_deleted_days'),
            source_table='audit_logs',
            settings=['reporting_timezone'],
            settings_view=ref('int_settings'),
        ) }}",
        post_hook=[
            "{{ keep_pruned_days() }}",
            "{{ remember_build_inputs(settings=['reporting_timezone']) }}",
        ],
    )
}}

with

events as (

    {{ changed_events(ref('int_audit_events')) }}

),

daily as (

    select
        event_date as usage_date,
        mcp_target as mcp_server,
        tool_called as tool,

        count(*) as calls,
        count(*) filter (where is_error) as errors,
        count(*) filter (where is_blocked) as blocked,
        count(distinct user_id) as users,
        cast(percentile_cont(0.5) within group (order by duration_ms) as numeric)
            as p50_duration_ms,
        cast(percentile_cont(0.95) within group (order by duration_ms) as numeric)
            as p95_duration_ms

    from events
    where is_tool_call
    group by 1, 2, 3

),

final as (

    select
        {{ row_key(['usage_date', 'mcp_server', 'tool']) }} as tool_usage_key,
        daily.*,
        {{ build_stamp() }}

    from daily

)

select * from final
