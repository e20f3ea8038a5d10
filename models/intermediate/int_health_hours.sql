with

grid as (

    select * from {{ ref('int_health_grid') }}

),

clock as (

    select * from {{ ref('int_clock') }}

),

final as (

    select
        grid.health_date,
        grid.mcp_server_id,
        hours.hour_at,
        least(hours.hour_at + interval '1 hour', grid.ends_at) as hour_ends_at,
        grid.day_seconds,
        grid.stated_interval_seconds

    from grid
    cross join
        lateral generate_series(
            grid.starts_at, grid.ends_at - interval '1 second', interval '1 hour'
        ) as hours (hour_at)
    where
        grid.health_date > (
            select
                {{ reporting_date('clock.as_of_at') }}
                - {{ setting('health_hourly_days') | int }}
            from clock
        )

)

select * from final
