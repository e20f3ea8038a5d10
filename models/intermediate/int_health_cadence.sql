{%- set events = ref('int_health_events') -%}

with

grid as (

    select * from {{ ref('int_health_grid') }}

),

-- of the day and the one before, so that a day which has only begun knows, too
learnt as (

    select
        grid.*,
        learnt.interval_seconds as learnt_interval_seconds

    from grid
    cross join lateral (
        {{ learnt_interval(
            events,
            'grid.mcp_server_id',
            'grid.day_before_starts_at',
            'grid.next_day_starts_at',
        ) | indent(8) }}
    ) as learnt

),

final as (

    select
        health_date,
        mcp_server_id,
        starts_at,
        ends_at,
        next_day_starts_at,
        day_seconds,
        stated_interval_seconds,
        coalesce(
            stated_interval_seconds,
            learnt_interval_seconds,
            {{ setting('health_check_interval_seconds') | int }}
        ) as check_interval_seconds,
        case
            when stated_interval_seconds is not null then 'stated'
            when learnt_interval_seconds is not null then 'learnt'
            else 'setting'
        end as check_interval_source

    from learnt

)

select * from final
