{%- set first_date -%}
    (
        select {{ reporting_date('clock.as_of_at') }} - {{ setting('health_hourly_days') | int }}
        from {{ ref('int_clock') }} as clock
    )
{%- endset -%}

{{
    config(
        incremental_strategy='changed_days',
        unique_key='health_date',
        indexes=[{'columns': ['health_date', 'built_at', 'built_xmin']}],
        pre_hook=[
            "{{ find_changed_health(
                ref('int_health_hours'),
                taught_by=ref('int_health_learnt'),
                more_columns=['hour_at'],
                more_settings=['health_hourly_days'],
            ) }}",
            "{{ plan_for_many_rows() }}",
        ],
        post_hook="{{ remember_health_inputs(['health_hourly_days']) }}",
    )
}}

with

hours as (

    select * from {{ ref('int_health_hours') }}
    {{ where_day_changed('health_date') }}

),

intervals as (

    select *
    from (
        select * from {{ ref('int_health_intervals') }}
        {{ where_day_changed('health_date') }}
    ) as changed
    where health_date > {{ first_date }}

),

day_events as (

    select *
    from (
        select * from {{ ref('int_health_day_events') }}
        {{ where_day_changed('health_date') }}
    ) as changed
    where health_date > {{ first_date }} and not is_carried_in

),

timed as (

    select
        hours.health_date,
        hours.mcp_server_id,
        hours.hour_at,
        hours.day_seconds,
        hours.stated_interval_seconds,
        cast(extract(epoch from hours.hour_ends_at - hours.hour_at) as integer) as hour_seconds,
        {{ seconds_within_hour('up') }} as up_seconds,
        {{ seconds_within_hour('down') }} as down_seconds,
        {{ seconds_within_hour('unknown') }} as unknown_seconds,
        {{ seconds_within_hour('disabled') }} as disabled_seconds

    from hours
    inner join intervals
        on
            hours.health_date = intervals.health_date
            and hours.mcp_server_id = intervals.mcp_server_id
            and hours.hour_at < intervals.ended_at
            and hours.hour_ends_at > intervals.started_at
    group by 1, 2, 3, 4, 5, 6

),

checked as (

    select
        health_date,
        mcp_server_id,
        starts_at
        + floor(extract(epoch from observed_at - starts_at) / 3600) * interval '1 hour' as hour_at,
        count(*) as checks,
        count(*) filter (where server_state = 'down') as checks_down,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by response_ms)
            as percentiles_ms

    from day_events
    group by 1, 2, 3

),

final as (

    select
        {{ row_key([
            'timed.mcp_server_id', 'cast(extract(epoch from timed.hour_at) as bigint)'
        ]) }} as hourly_health_key,
        timed.health_date,
        timed.mcp_server_id,
        timed.hour_at,
        timed.hour_seconds,
        timed.day_seconds,
        timed.stated_interval_seconds,
        cast(timed.up_seconds as integer) as up_seconds,
        cast(timed.down_seconds as integer) as down_seconds,
        cast(timed.unknown_seconds as integer) as unknown_seconds,
        cast(timed.disabled_seconds as integer) as disabled_seconds,
        coalesce(checked.checks, 0) as checks,
        coalesce(checked.checks_down, 0) as checks_down,
        cast(checked.percentiles_ms[1] as numeric) as p50_response_ms,
        cast(checked.percentiles_ms[2] as numeric) as p95_response_ms,
        cast(checked.percentiles_ms[3] as numeric) as p99_response_ms,
        {{ build_stamp() }}

    from timed
    left join checked
        on
            timed.health_date = checked.health_date
            and timed.mcp_server_id = checked.mcp_server_id
            and timed.hour_at = checked.hour_at

)

select * from final
