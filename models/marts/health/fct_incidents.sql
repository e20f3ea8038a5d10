{{
    config(
        incremental_strategy='changed_rows',
        unique_key='incident_key',
    )
}}

with

daily as (

    select * from {{ ref('fct_daily_health') }}

),

outages as (

    select
        daily.health_date,
        daily.mcp_server_id,
        outages.start_epoch,
        outages.start_epoch + outages.seconds as end_epoch,
        outages.seconds,
        outages.is_continued,
        outages.next_state,
        outages.checks,
        outages.first_error,
        outages.last_error

    from daily
    cross join lateral jsonb_to_recordset(daily.outage_list) as outages (
        start_epoch bigint,
        seconds integer,
        is_continued boolean,
        next_state text,
        checks bigint,
        first_error text,
        last_error text
    )

),

-- what goes on over midnight is the same incident
numbered as (

    select
        *,
        count(*) filter (where not is_continued) over (
            partition by mcp_server_id
            order by start_epoch
        ) as incident_number

    from outages

),

merged as (

    select
        mcp_server_id,
        incident_number,
        min(health_date) as opened_date,
        max(health_date) as last_date,
        to_timestamp(min(start_epoch)) as opened_at,
        to_timestamp(max(end_epoch)) as last_down_at,
        sum(seconds) as down_seconds,
        sum(checks) as checks,
        (
            array_agg(first_error order by start_epoch) filter (where first_error is not null)
        )[1] as first_error,
        (
            array_agg(last_error order by start_epoch desc) filter (where last_error is not null)
        )[1] as last_error,
        (array_agg(next_state order by start_epoch desc))[1] as next_state

    from numbered
    group by 1, 2

),

-- not of the next date: the date line may have skipped it
followed as (

    select
        mcp_server_id,
        health_date,
        lead(state_at_start) over (
            partition by mcp_server_id
            order by health_date
        ) as next_state_at_start

    from daily

),

-- at the end of a day the next one says what came; where there is none, it is still open
ended as (

    select
        merged.*,
        coalesce(merged.next_state, followed.next_state_at_start) as ended_as

    from merged
    inner join followed
        on
            merged.mcp_server_id = followed.mcp_server_id
            and merged.last_date = followed.health_date

),

final as (

    select
        {{ row_key(['mcp_server_id', 'cast(extract(epoch from opened_at) as bigint)']) }}
            as incident_key,
        opened_date,
        mcp_server_id,
        opened_at,
        case when ended_as is not null then last_down_at end as closed_at,
        last_down_at,
        ended_as,
        cast(down_seconds as bigint) as down_seconds,
        cast(checks as bigint) as checks,
        first_error,
        last_error,
        {{ build_stamp() }}

    from ended

)

select * from final
