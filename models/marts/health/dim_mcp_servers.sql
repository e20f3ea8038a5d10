{{
    config(
        incremental_strategy='changed_rows',
        unique_key='mcp_server_id',
        full_refresh=false,
    )
}}

{%- set events = ref('int_health_events') -%}
{%- set factor = setting('health_hold_factor') | int -%}
{%- set default_interval = setting('health_check_interval_seconds') | int -%}

with recursive

servers as (

    select * from {{ ref('stg_mcp_servers') }}

),

-- what the log itself no longer says
pruned as (

    select * from {{ ref('stg_pruned_servers') }}

),

-- The raw log itself, as only of a table can the planner take the first row by an index: events
-- are many, servers are few.
health_log as not materialized (

    select
        id,
        cast(mcp_server_id as integer) as mcp_server_id,
        cast(timestamp as timestamptz) as event_at

    from {{ source('omni2', 'mcp_health_log') }}

),

clock as (

    select * from {{ ref('int_clock') }}

),

noticed as (

    select min(mcp_server_id) as mcp_server_id from health_log

    union all

    select
        (
            select min(health_log.mcp_server_id)
            from health_log
            where health_log.mcp_server_id > noticed.mcp_server_id
        )

    from noticed
    where mcp_server_id is not null

),

known as (

    select mcp_server_id from servers
    union
    select mcp_server_id from noticed
    where mcp_server_id is not null
    union
    select mcp_server_id from pruned

),

named as (

    select
        known.mcp_server_id,
        servers.mcp_server_name,
        servers.mcp_server_id is not null as is_listed,
        {{ stated_interval('servers.stated_interval_seconds') }} as stated_interval_seconds,
        least(
            pruned.first_event_at,
            (
                select min(health_log.event_at)
                from health_log
                where
                    health_log.mcp_server_id = known.mcp_server_id
                    and health_log.event_at >= timestamptz '2000-01-01 00:00+00'
                    and health_log.event_at
                    < (select clock.as_of_at + interval '1 second' from clock)
            )
        ) as first_event_at,
        (
            select max(health_log.event_at)
            from health_log
            where
                health_log.mcp_server_id = known.mcp_server_id
                and health_log.event_at >= timestamptz '2000-01-01 00:00+00'
                and health_log.event_at
                < (select clock.as_of_at + interval '1 second' from clock)
        ) as last_event_at,
        {{ last_event_ahead(
            source('omni2', 'mcp_health_log'),
            'known.mcp_server_id',
            '(select clock.as_of_at from clock)',
        ) }} as event_id_ahead

    from known
    left join servers on known.mcp_server_id = servers.mcp_server_id
    left join pruned on known.mcp_server_id = pruned.mcp_server_id

),

expected as (

    select
        named.*,
        last_event.server_state as last_state,
        {{ check_interval('named.stated_interval_seconds', 'learnt.interval_seconds') }}
            as check_interval_seconds,
        case
            when named.stated_interval_seconds is not null then 'stated'
            when learnt.interval_seconds is not null then 'learnt'
            else 'setting'
        end as check_interval_source,
        coalesce(
            named.stated_interval_seconds,
            {{ [default_interval, learnt_interval_bounds().most] | max }}
        ) * {{ factor }} as longest_hold_seconds

    from named
    cross join
        lateral (
        {{ learnt_interval(
            events,
            'named.mcp_server_id',
            "named.last_event_at - interval '2 days'",
            "timestamptz 'infinity'",
        ) | indent(8) }}
        ) as learnt
    left join lateral (
        select latest.server_state
        from {{ events }} as latest
        where
            latest.mcp_server_id = named.mcp_server_id
            and latest.event_at = named.last_event_at
        order by latest.badness desc
        limit 1
    ) as last_event on true

),

judged as (

    select
        expected.*,
        case
            when expected.last_event_at is null then 'never checked'
            when expected.last_state = 'disabled' then 'disabled'
            when
                expected.last_event_at
                < clock.as_of_at
                - expected.check_interval_seconds * {{ factor }} * interval '1 second'
                then 'silent'
            when
                expected.event_id_ahead is not null
                and not exists (
                    select 1
                    from health_log
                    where
                        health_log.mcp_server_id = expected.mcp_server_id
                        and health_log.event_at
                        >= clock.as_of_at
                        - expected.check_interval_seconds * {{ factor }} * interval '1 second'
                        and health_log.event_at < clock.as_of_at + interval '1 second'
                        and health_log.id > expected.event_id_ahead
                )
                then 'silent'
            else 'running'
        end as verdict

    from expected
    cross join clock

),

final as (

    select
        mcp_server_id,
        mcp_server_name,
        first_event_at,
        last_event_at,
        stated_interval_seconds,
        check_interval_seconds,
        check_interval_source,
        longest_hold_seconds,
        case
            when verdict <> 'running' and not is_listed then 'deleted'
            else verdict
        end as checks_verdict,
        {{ build_stamp() }}

    from judged

)

select * from final
