{%- set hold = "interval '" ~ hold_seconds() ~ " seconds'" -%}

-- Every window below is partitioned by day and server, and nothing is read twice: so a condition on
-- health_date reaches the events, and a day is computed from its own events and the ones held over.

with

grid as (

    select * from {{ ref('int_health_grid') }}

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
        starts_at - {{ hold }} as event_at,
        starts_at - {{ hold }} as observed_at,
        'unknown' as server_state,
        0 as badness,
        cast(0 as bigint) as health_event_id

    from grid

    union all

    select
        health_date,
        mcp_server_id,
        starts_at,
        ends_at,
        event_at,
        observed_at,
        server_state,
        badness,
        health_event_id

    from day_events

),

-- at the same time the worst comes last, and stays
sequenced as (

    select
        *,
        coalesce(
            lead(observed_at) over (
                partition by health_date, mcp_server_id
                order by event_at, badness, health_event_id
            ),
            ends_at
        ) as next_observed_at

    from observations

),

-- a state holds until the next event, but not for ever: then nothing is known
stretched as (

    select
        sequenced.health_date,
        sequenced.mcp_server_id,
        sequenced.starts_at,
        sequenced.ends_at,
        pieces.server_state,
        pieces.started_at,
        pieces.ended_at

    from sequenced
    cross join
        lateral (
            values
            (
                sequenced.server_state,
                sequenced.observed_at,
                least(
                    sequenced.next_observed_at,
                    sequenced.observed_at + {{ hold }},
                    sequenced.ends_at
                )
            ),
            (
                'unknown',
                sequenced.observed_at + {{ hold }},
                least(sequenced.next_observed_at, sequenced.ends_at)
            )
        ) as pieces (server_state, started_at, ended_at)
    where pieces.started_at < pieces.ended_at

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
        max(ended_at) as ended_at

    from numbered
    group by 1, 2, 3, 4, 5

),

final as (

    select
        health_date,
        mcp_server_id,
        server_state,
        greatest(began_at, starts_at) as started_at,
        ended_at,
        cast(extract(epoch from ended_at - greatest(began_at, starts_at)) as integer) as seconds,
        began_at < starts_at as is_continued

    from merged
    where ended_at > starts_at

)

select * from final
