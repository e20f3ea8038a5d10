with

days as (

    select * from {{ ref('int_health_days') }}

),

servers as (

    select * from {{ ref('dim_mcp_servers') }}

),

crossed as (

    select
        days.health_date,
        servers.mcp_server_id,
        days.day_before_starts_at,
        days.starts_at,
        days.ends_at,
        days.next_day_starts_at,
        days.day_seconds,
        servers.stated_interval_seconds,
        servers.longest_hold_seconds

    from days
    cross join servers
    -- Of a server that was deleted nothing is known after its last state, and nothing is missing.
    where
        servers.checks_verdict <> 'deleted'
        or days.starts_at
        <= servers.last_event_at + servers.longest_hold_seconds * interval '1 second'

)

select * from crossed
