-- Without a WITH, as `stg_mcp_health_log` is, and for its reason.
select
    happened.health_event_id,
    happened.mcp_server_id,
    happened.event_at,
    date_trunc('second', happened.event_at) as observed_at,
    words.status_word,
    words.event_word,
    coalesce(words.known_state, 'down') as server_state,
    case coalesce(words.known_state, 'down') when 'down' then 3 when 'disabled' then 2 else 1 end
        as badness,
    words.known_state is null as is_unknown_word,
    {{ is_check('words.event_word') }} as is_check,
    {{ possible_response('happened.response_ms') }} as response_ms,
    happened.response_ms is not null and {{ possible_response('happened.response_ms') }} is null
        as is_impossible_response,
    -- twice what is shown: a password is known by what stands behind it
    nullif(btrim(left(happened.error_message, 1000)), '') as error_message,
    happened.change_xid

from {{ ref('stg_mcp_health_log') }} as happened
-- where there is a status, it alone speaks; else the event does (`offset 0` has each read once, not
-- by every column that asks for it)
cross join
    lateral (
        select
            letters.status_word,
            letters.event_word,
            {{ known_state('coalesce(letters.status_word, letters.event_word)') }} as known_state
        from (
            select
                {{ letters('happened.reported_status') }} as status_word,
                {{ letters('happened.event_type') }} as event_word
        ) as letters
        offset 0  -- noqa: AM09
    ) as words
where
    happened.mcp_server_id is not null
    -- a clock that was never set says 1970; without this line that is 20,000 days of silence
    and happened.event_at >= timestamptz '2000-01-01 00:00+00'
    -- what is dated later waits until its time has come
    and happened.event_at < (
        select clock.as_of_at + interval '1 second' from {{ ref('int_clock') }} as clock
    )
