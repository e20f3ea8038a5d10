-- In order of day and server, here and where the cadence is read: so whoever groups by them, or has
-- windows over them, sorts the few hundred checks of each by themselves, not all history.

with

cadence as (

    select
        *,
        check_interval_seconds * {{ setting('health_hold_factor') | int }} as hold_seconds,
        check_interval_before_seconds * {{ setting('health_hold_factor') | int }}
            as hold_before_seconds

    from {{ ref('int_health_cadence') }}
    order by health_date, mcp_server_id

),

health_events as (

    select * from {{ ref('int_health_events') }}

),

-- What is carried in holds as the day before says, or an outage would end there and go on here.
-- `offset 0` makes this one short look into an index for each day and server, not a join of all
-- events with all days
joined as (

    select
        cadence.health_date,
        cadence.starts_at,
        cadence.ends_at,
        case
            when events.event_at < cadence.starts_at then cadence.hold_before_seconds
            else cadence.hold_seconds
        end as hold_seconds,
        events.event_at < cadence.starts_at as is_carried_in,
        events.health_event_id,
        cadence.mcp_server_id,
        events.event_at,
        events.observed_at,
        events.status_word,
        events.server_state,
        events.badness,
        events.is_unknown_word,
        events.response_ms,
        events.is_impossible_response,
        events.error_message

    from cadence
    cross join lateral (
        select health_events.*
        from health_events
        where
            health_events.mcp_server_id = cadence.mcp_server_id
            and health_events.event_at
            >= cadence.starts_at - interval '1 second' * cadence.hold_before_seconds
            and health_events.event_at < cadence.next_day_starts_at
        offset 0  -- noqa: AM09
    ) as events

)

select * from joined
order by health_date, mcp_server_id
