with

health_log as (

    select * from {{ ref('stg_mcp_health_log') }}

),

clock as (

    select * from {{ ref('int_clock') }}

),

worded as (

    select
        *,
        nullif(
            regexp_replace(lower(btrim(reported_status, E' \t\r\n')), '\s+', '_', 'g'), ''
        ) as status_word,
        lower(btrim(event_type)) as event_word

    from health_log
    where
        -- a clock that was never set says 1970; without this line that is 20,000 days of silence
        event_at >= timestamptz '2000-01-01 00:00+00'
        and event_at < (select clock.as_of_at + interval '1 second' from clock)

),

classified as (

    select
        *,
        case
            when status_word = 'healthy' then 'up'
            when status_word in ('unhealthy', 'timeout', 'disconnected', 'circuit_open', 'error')
                then 'down'
            when status_word = 'disabled' then 'disabled'
            -- any other word is unknown; only where there is none does the event speak
            when status_word is not null then null
            when event_word in ('load', 'startup', 'health_check_success', 'recovery_success')
                then 'up'
            when
                event_word in (
                    'load_failed', 'health_check_failed', 'circuit_opened', 'recovery_failed'
                )
                then 'down'
            when event_word = 'shutdown' then 'disabled'
        end as known_state

    from worded

),

final as (

    select
        health_event_id,
        mcp_server_id,
        event_at,
        date_trunc('second', event_at) as observed_at,
        status_word,
        event_word,
        coalesce(known_state, 'down') as server_state,
        case coalesce(known_state, 'down') when 'down' then 3 when 'disabled' then 2 else 1 end
            as badness,
        known_state is null as is_unknown_word,
        case when response_ms >= 0 then response_ms end as response_ms,
        change_xid

    from classified

)

select * from final
