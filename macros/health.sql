{# A recovery can't be told from a slow one below this, nor a gap from silence above it. #}
{% macro learnt_interval_bounds() -%}
    {{ return({'least': 30, 'most': 21600, 'gaps': 5, 'checks': 100}) }}
{%- endmacro %}


{% macro learnt_interval(events, server, since, until) -%}
    {%- set bounds = learnt_interval_bounds() -%}
    select
        case
            when count(*) >= {{ bounds.gaps }}
                then cast(
                    least(
                        greatest(
                            round(
                                extract(
                                    epoch from percentile_disc(0.5) within group (order by gaps.gap)
                                ) / 30
                            ) * 30,
                            {{ bounds.least }}
                        ),
                        {{ bounds.most }}
                    ) as integer
                )
        end as interval_seconds
    from (
        select
            checks.observed_at
            - lag(checks.observed_at) over (order by checks.observed_at) as gap
        from (
            select latest.observed_at
            from {{ events }} as latest
            where
                latest.mcp_server_id = {{ server }}
                and latest.event_at >= {{ since }}
                and latest.event_at < {{ until }}
                and latest.is_check
            order by latest.event_at desc
            limit {{ bounds.checks }}
        ) as checks
    ) as gaps
    where gaps.gap > interval '0'
{%- endmacro %}


{# In seconds; nothing below a second or above a day can be meant. #}
{% macro stated_interval(seconds) -%}
    case when {{ seconds }} between 1 and 86400 then cast(round({{ seconds }}) as integer) end
{%- endmacro %}


{% macro number_of_seconds(text) -%}
    cast(substring({{ text }} from '^\s*(\d{1,5}(?:\.\d+)?)\s*$') as numeric)
{%- endmacro %}


{# How often a server is expected to be checked: as stated, else as learnt, else as set. #}
{% macro check_interval(stated, learnt) -%}
    coalesce({{ stated }}, {{ learnt }}, {{ setting('health_check_interval_seconds') | int }})
{%- endmacro %}


{#
    The number of a server's last event that is dated more than a check ahead. Nobody can tell when
    what was noted before it happened, as the same clock may have dated it. (`+ 0`, or the planner
    would walk down all ids to find the greatest.)
#}
{% macro last_event_ahead(health_log, server, now) -%}
    (
        select max(ahead.id + 0)
        from {{ health_log }} as ahead
        where
            ahead.mcp_server_id = {{ server }}
            and ahead.timestamp
            > {{ now }} + interval '{{ setting('health_check_interval_seconds') | int }} seconds'
    )
{%- endmacro %}


{% macro last_trusted_event(health_log) -%}
    select max(trusted.event_at)
    from (
        select distinct mcp_server_id
        from {{ health_log }}
        where mcp_server_id is not null
    ) as servers
    cross join lateral (
        select {{ last_event_ahead(health_log, 'servers.mcp_server_id', 'now()') }} as event_id
        offset 0  -- once a server, not once an event
    ) as ahead
    cross join lateral (
        select events.timestamp as event_at
        from {{ health_log }} as events
        where
            events.mcp_server_id = servers.mcp_server_id
            and events.timestamp <= now()
            and (ahead.event_id is null or events.id > ahead.event_id)
        order by events.timestamp desc
        limit 1
    ) as trusted
{%- endmacro %}


{#
    Until when something is known of every server that isn't disabled: now, where each is checked as
    often as is expected. The rule is that of `dim_mcp_servers`, asked of the live log.
#}
{% macro all_known_until(servers) -%}
    {%- set health_log = servers.incorporate(path={'identifier': 'mcp_health_log'}) -%}
    {%- set happened -%}
    (
        select
            id, mcp_server_id, status, event_type,
            "timestamp" as event_at,
            date_trunc('second', "timestamp") as observed_at,
            {{ is_check(letters('event_type')) }} as is_check
        from {{ health_log }}
        where "timestamp" >= timestamptz '2000-01-01 00:00+00' and "timestamp" <= now()
    )
    {%- endset %}
    select coalesce(min(known.until_at), now())
    from (
        select
            least(
                coalesce(
                    last_event.event_at + interval '1 second'
                    * {{ setting('health_hold_factor') | int }}
                    * {{ check_interval(stated_interval('stated.seconds'), 'learnt.interval_seconds') }},
                    timestamptz '2000-01-01 00:00+00'
                ),
                now()
            ) as until_at
        from {{ servers }} as servers
        cross join lateral (
            select {{ last_event_ahead(health_log, 'servers.id', 'now()') }} as event_id
            offset 0  -- once a server, not once an event
        ) as ahead
        left join lateral (
            select events.*
            from {{ happened }} as events
            where
                events.mcp_server_id = servers.id
                and (ahead.event_id is null or events.id > ahead.event_id)
            order by events.event_at desc
            limit 1
        ) as last_event on true
        cross join lateral (
            select {{ number_of_seconds(
                "coalesce("
                ~ "to_jsonb(servers.*) ->> 'health_check_interval_seconds', "
                ~ "to_jsonb(servers.*) ->> 'health_check_interval')"
            ) }} as seconds
        ) as stated
        cross join lateral (
            {{ learnt_interval(
                happened, 'servers.id', "last_event.event_at - interval '2 days'", 'now()'
            ) }}
        ) as learnt
        where
            {{ known_state(
                'coalesce(' ~ letters('last_event.status') ~ ', ' ~ letters('last_event.event_type') ~ ')'
            ) }} is distinct from 'disabled'
    ) as known
{%- endmacro %}


{% macro longest_hold_seconds(servers) -%}
    (select coalesce(max(longest_hold_seconds), 0) from {{ servers }})
{%- endmacro %}


{#
    Words are compared without what separates their parts: `Circuit open` is `circuit_open`. In a
    Turkish database the small letter of I has no dot, and TIMEOUT would be unknown.
#}
{% macro letters(words) -%}
    nullif(translate(lower({{ words }} collate "C"), E' \t\r\n_-', ''), '')
{%- endmacro %}


{# What the words mean that gateways write; of any other nobody knows. #}
{% macro known_state(word) -%}
    case {{ word }}
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
    end
{%- endmacro %}


{% macro is_check(event_word) -%}
    coalesce({{ event_word }} like 'healthcheck%', true)
{%- endmacro %}


{% macro possible_response(milliseconds) -%}
    case when {{ milliseconds }} between 0 and 3600000 then {{ milliseconds }} end
{%- endmacro %}


{# Lateral joins stay nested loops; there is no other way to do them. #}
{% macro plan_for_many_rows() -%}
    set local enable_nestloop = off;
    set local work_mem = '64MB'
{%- endmacro %}


{# For a few rows each, in order: the planner takes them for fewer still, and would sort them. #}
{% macro look_into_index() -%}
    set local enable_bitmapscan = off;
    set local enable_sort = off
{%- endmacro %}


{#- Seconds that the joined `intervals` of one state have within the hour of `hours`. -#}
{%- macro seconds_within_hour(state) -%}
    coalesce(
        sum(
            extract(
                epoch from least(intervals.ended_at, hours.hour_ends_at)
                - greatest(intervals.started_at, hours.hour_at)
            )
        ) filter (where intervals.server_state = '{{ state }}'),
        0
    )
{%- endmacro %}


{#
    What changes a day of health: its events and those that hold into it, what it is expected to
    have, and, for whoever is built from them, the intervals that its checks teach. The first day
    that a removal of rows left needs those of the days before it.
#}
{% macro find_changed_health(grid, taught_by=none, more_columns=[], more_settings=[]) -%}
    {{ find_changed_days(
        events=ref('stg_mcp_health_log'),
        deletions=ref('stg_deleted_days'),
        source_table='mcp_health_log',
        settings=health_settings() + more_settings,
        settings_view=ref('int_settings'),
        held_seconds=longest_hold_seconds(ref('dim_mcp_servers')) if taught_by else '0',
        grid=grid,
        grid_columns=['health_date', 'mcp_server_id']
        + (['day_seconds', 'stated_interval_seconds'] if taught_by else [])
        + more_columns,
        taught_by=taught_by,
        also_pruned=not taught_by,
    ) }}
{%- endmacro %}


{% macro remember_health_inputs(more_settings=[]) -%}
    {{ remember_build_inputs(settings=health_settings() + more_settings) }}
{%- endmacro %}
