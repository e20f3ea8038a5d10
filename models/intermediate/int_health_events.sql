with

health_log as (

    select * from {{ ref('stg_mcp_health_log') }}

),

clock as (

    select * from {{ ref('int_clock') }}

),

-- words are compared without what separates their parts: `Circuit open` is `circuit_open`
worded as (

    select
        *,
        nullif(translate(lower(reported_status), E' \t\r\n_-', ''), '') as status_word,
        nullif(translate(lower(event_type), E' \t\r\n_-', ''), '') as event_word

    from health_log
    where
        mcp_server_id is not null
        -- a clock that was never set says 1970; without this line that is 20,000 days of silence
        and event_at >= timestamptz '2000-01-01 00:00+00'
        -- what is dated later waits until its time has come
        and event_at < (select clock.as_of_at + interval '1 second' from clock)

),

-- where there is a status, it alone speaks; else the event does
classified as (

    select
        *,
        case coalesce(status_word, event_word)
            when 'healthy' then 'up'
            when 'load' then 'up'
            when 'startup' then 'up'
            when 'healthchecksuccess' then 'up'
            when 'recoverysuccess' then 'up'
            when 'unhealthy' then 'down'
            when 'timeout' then 'down'
            when 'disconnected' then 'down'
            when 'circuitopen' then 'down'
            when 'error' then 'down'
            when 'loadfailed' then 'down'
            when 'healthcheckfailed' then 'down'
            when 'circuitopened' then 'down'
            when 'recoveryfailed' then 'down'
            when 'disabled' then 'disabled'
            when 'maintenance' then 'disabled'
            when 'shutdown' then 'disabled'
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
        coalesce(event_word like 'healthcheck%', true) as is_check,
        {{ possible_response('response_ms') }} as response_ms,
        response_ms is not null and {{ possible_response('response_ms') }} is null
            as is_impossible_response,
        nullif(btrim(left(error_message, 500)), '') as error_message,
        change_xid

    from classified

)

select * from final
