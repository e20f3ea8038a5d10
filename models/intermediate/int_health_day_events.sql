-- In order of day and server, here and where the cadence is read: so whoever groups by them, or has
-- windows over them, sorts the few hundred checks of each by themselves, not all history.

with

cadence as (

    select
        *,
        check_interval_seconds * {{ setting('health_hold_factor') | int }} as hold_seconds

    from {{ ref('int_health_cadence') }}
    order by health_date, mcp_server_id

),

-- read twice below, each time by its index
health_events as not materialized (

    select * from {{ ref('int_health_events') }}

),

learnt as (

    select * from {{ ref('int_health_learnt') }}

),

-- What is carried in is the last event before the day, and holds as its own day says, however many
-- days ago that was: or an outage would end there and go on here. `offset 0` makes this two short
-- looks into an index for each day and server, not a join of all events with all days
joined as (

    select
        cadence.health_date,
        cadence.starts_at,
        cadence.ends_at,
        events.hold_seconds,
        events.is_carried_in,
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
        (
            select
                health_events.*,
                cadence.hold_seconds,
                false as is_carried_in
            from health_events
            where
                health_events.mcp_server_id = cadence.mcp_server_id
                and health_events.event_at >= cadence.starts_at
                and health_events.event_at < cadence.next_day_starts_at
            offset 0  -- noqa: AM09
        )
        union all
        (
            select
                carried_in.*,
                {{ check_interval(
                    'cadence.stated_interval_seconds',
                    '(
                        select learnt.learnt_interval_seconds
                        from learnt
                        where
                            learnt.health_date = ' ~ reporting_date('carried_in.event_at') ~ '
                            and learnt.mcp_server_id = cadence.mcp_server_id
                    )',
                ) }} * {{ setting('health_hold_factor') | int }} as hold_seconds,
                true as is_carried_in
            from (
                select health_events.*
                from health_events
                where
                    health_events.mcp_server_id = cadence.mcp_server_id
                    and health_events.event_at < cadence.starts_at
                    and health_events.event_at
                    >= cadence.starts_at - interval '1 second' * cadence.longest_hold_seconds
                order by
                    health_events.event_at desc,
                    health_events.badness desc,
                    health_events.health_event_id desc
                limit 1
            ) as carried_in
        )
    ) as events

)

select * from joined
order by health_date, mcp_server_id
