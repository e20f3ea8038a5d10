-- Every window below is partitioned by day and server, and nothing is read twice: so a condition on
-- health_date reaches the events, and a day is computed from its own events and the ones held over.
-- The grid comes in the order of `int_health_day_events`, so that both are merged, not sorted.

with

grid as (

    select * from {{ ref('int_health_grid') }}
    order by health_date, mcp_server_id

),

day_events as (

    select * from {{ ref('int_health_day_events') }}

),

-- what came before the first event that can matter is not known
observations as (

    select
        health_date,
        mcp_server_id,
        starts_at,
        ends_at,
        interval '0' as held_for,
        true as is_carried_in,
        timestamptz '-infinity' as event_at,
        timestamptz '-infinity' as observed_at,
        'unknown' as server_state,
        0 as badness,
        cast(0 as bigint) as health_event_id,
        cast(null as text) as error_message

    from grid

    union all

    select
        health_date,
        mcp_server_id,
        starts_at,
        ends_at,
        interval '1 second' * hold_seconds as held_for,
        is_carried_in,
        event_at,
        observed_at,
        server_state,
        badness,
        health_event_id,
        error_message

    from day_events

),

-- at the same time the worst comes last, and stays
sequenced as (

    select
        *,
        coalesce(lead(observed_at) over next_event, ends_at) as next_observed_at,
        last_value(server_state) over within_second as state_of_second

    from observations
    window
        next_event as (
            partition by health_date, mcp_server_id
            order by observed_at, event_at, badness, health_event_id
        ),
        within_second as (
            partition by health_date, mcp_server_id, observed_at
            order by event_at, badness, health_event_id
            rows between unbounded preceding and unbounded following
        )

),

-- A state holds until the next event, but not for ever: then nothing is known. Of what is over
-- within the second only that stays which the second ends with: its error may be the first.
stretched as (

    select
        sequenced.health_date,
        sequenced.mcp_server_id,
        sequenced.starts_at,
        sequenced.event_at,
        sequenced.health_event_id,
        pieces.server_state,
        pieces.started_at,
        pieces.ended_at,
        pieces.is_check,
        case when pieces.is_check then sequenced.error_message end as error_message

    from sequenced
    cross join
        lateral (
            values
            (
                sequenced.server_state,
                sequenced.observed_at,
                least(
                    sequenced.next_observed_at,
                    sequenced.observed_at + sequenced.held_for,
                    sequenced.ends_at
                ),
                not sequenced.is_carried_in
            ),
            (
                'unknown',
                sequenced.observed_at + sequenced.held_for,
                least(sequenced.next_observed_at, sequenced.ends_at),
                false
            )
        ) as pieces (server_state, started_at, ended_at, is_check)
    where
        pieces.started_at < pieces.ended_at
        or (
            pieces.is_check
            and pieces.started_at = pieces.ended_at
            and pieces.server_state = sequenced.state_of_second
        )

),

compared as (

    select
        *,
        lag(server_state) over (
            partition by health_date, mcp_server_id
            order by started_at
        ) as state_before

    from stretched

),

numbered as (

    select
        *,
        count(*) filter (where server_state is distinct from state_before) over (
            partition by health_date, mcp_server_id
            order by started_at
        ) as interval_number

    from compared

),

merged as (

    select
        health_date,
        mcp_server_id,
        starts_at,
        server_state,
        interval_number,
        min(started_at) as began_at,
        max(ended_at) as ended_at,
        count(*) filter (where is_check) as checks,
        (
            array_agg(error_message order by event_at, health_event_id)
            filter (where error_message is not null)
        )[1] as first_error,
        (
            array_agg(error_message order by event_at desc, health_event_id desc)
            filter (where error_message is not null)
        )[1] as last_error

    from numbered
    group by health_date, mcp_server_id, starts_at, server_state, interval_number

),

final as (

    select
        health_date,
        mcp_server_id,
        server_state,
        greatest(began_at, starts_at) as started_at,
        ended_at,
        cast(extract(epoch from ended_at - greatest(began_at, starts_at)) as integer) as seconds,
        began_at < starts_at as is_continued,
        checks,
        left({{ masked('first_error') }}, 500) as first_error,
        left({{ masked('last_error') }}, 500) as last_error

    from merged
    where ended_at > greatest(began_at, starts_at)

)

select * from final
