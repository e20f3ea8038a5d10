with

clock as (

    select * from {{ ref('int_clock') }}

),

servers as (

    select * from {{ ref('dim_mcp_servers') }}

),

first_event as (

    select min(first_event_at) as happened_at from servers

),

calendar as (

    select
        clock.as_of_at,
        cast(midnights.starts_at as date) as health_date

    from first_event
    cross join clock
    cross join lateral generate_series(
        cast({{ reporting_date('first_event.happened_at') }} as timestamp),
        cast({{ reporting_date('clock.as_of_at') }} as timestamp),
        interval '1 day'
    ) as midnights (starts_at)

),

bounded as (

    select
        health_date,
        as_of_at,
        {{ day_starts_at('health_date') }} as starts_at,
        {{ day_starts_at('health_date + 1') }} as next_day_starts_at

    from calendar

),

-- not the date before: the date line may have skipped it
preceded as (

    select
        *,
        {{ reporting_date("(starts_at - interval '1 second')") }} as date_before

    from bounded

),

final as (

    select
        health_date,
        {{ day_starts_at('date_before') }} as day_before_starts_at,
        starts_at,
        least(next_day_starts_at, as_of_at) as ends_at,
        next_day_starts_at,
        cast(extract(epoch from least(next_day_starts_at, as_of_at) - starts_at) as integer)
            as day_seconds

    from preceded
    -- no second of a day that only begins now, nor of one that a change of the date line skipped
    where starts_at < least(next_day_starts_at, as_of_at)

)

select * from final
