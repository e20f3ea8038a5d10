with

grid as (

    select * from {{ ref('int_health_grid') }}

),

health_events as (

    select * from {{ ref('int_health_events') }}

),

-- `offset 0` makes this one short look into an index for each day and server, not a join of all
-- events with all days
joined as (

    select
        grid.health_date,
        grid.starts_at,
        grid.ends_at,
        events.event_at < grid.starts_at as is_carried_in,
        events.health_event_id,
        events.mcp_server_id,
        events.event_at,
        events.observed_at,
        events.server_state,
        events.badness,
        events.is_unknown_word,
        events.response_ms

    from grid
    cross join lateral (
        select health_events.*
        from health_events
        where
            health_events.mcp_server_id = grid.mcp_server_id
            and health_events.event_at >= grid.starts_at - interval '{{ hold_seconds() }} seconds'
            and health_events.event_at < grid.next_day_starts_at
        offset 0  -- noqa: AM09
    ) as events

)

select * from joined
