{{
    config(
        incremental_strategy='changed_days',
        unique_key='health_date',
        indexes=[{'columns': ['health_date']}],
        pre_hook="{{ find_changed_days(
            events=ref('stg_mcp_health_log'),
            deletions=ref('stg_deleted_days'),
            source_table='mcp_health_log',
            settings=health_settings(),
            settings_view=ref('int_settings'),
            held_seconds=hold_seconds(),
            grid=ref('int_health_grid'),
            grid_columns=['health_date', 'mcp_server_id', 'day_seconds'],
        ) }}",
        post_hook="{{ remember_build_inputs(settings=health_settings()) }}",
    )
}}

with

grid as (

    select * from {{ ref('int_health_grid') }}
    {{ where_day_changed('health_date') }}

),

intervals as (

    select * from {{ ref('int_health_intervals') }}
    {{ where_day_changed('health_date') }}

),

day_events as (

    select * from {{ ref('int_health_day_events') }}
    {{ where_day_changed('health_date') }}

),

timed as (

    select
        health_date,
        mcp_server_id,
        coalesce(sum(seconds) filter (where server_state = 'up'), 0) as up_seconds,
        coalesce(sum(seconds) filter (where server_state = 'down'), 0) as down_seconds,
        coalesce(sum(seconds) filter (where server_state = 'unknown'), 0) as unknown_seconds,
        coalesce(sum(seconds) filter (where server_state = 'disabled'), 0) as disabled_seconds,
        count(*) filter (where server_state = 'down' and not is_continued) as incidents,
        coalesce(max(seconds) filter (where server_state = 'down'), 0) as longest_outage_seconds

    from intervals
    group by 1, 2

),

checked as (

    select
        health_date,
        mcp_server_id,
        count(*) as checks,
        count(*) filter (where server_state = 'up') as checks_up,
        count(*) filter (where server_state = 'down') as checks_down,
        count(*) filter (where is_unknown_word) as checks_unknown_word,
        cast(percentile_cont(0.5) within group (order by response_ms) as numeric)
            as p50_response_ms,
        cast(percentile_cont(0.95) within group (order by response_ms) as numeric)
            as p95_response_ms,
        cast(percentile_cont(0.99) within group (order by response_ms) as numeric)
            as p99_response_ms

    from day_events
    where not is_carried_in
    group by 1, 2

),

joined as (

    select
        grid.health_date,
        grid.mcp_server_id,
        grid.day_seconds,
        timed.up_seconds,
        timed.down_seconds,
        timed.unknown_seconds,
        timed.disabled_seconds,
        timed.incidents,
        timed.longest_outage_seconds,
        cast(timed.up_seconds + timed.down_seconds as numeric) as known_seconds,
        coalesce(checked.checks, 0) as checks,
        coalesce(checked.checks_up, 0) as checks_up,
        coalesce(checked.checks_down, 0) as checks_down,
        coalesce(checked.checks_unknown_word, 0) as checks_unknown_word,
        checked.p50_response_ms,
        checked.p95_response_ms,
        checked.p99_response_ms,
        cast({{ setting_literal('health_objective') }} as numeric) as objective_share

    from grid
    inner join timed
        on grid.health_date = timed.health_date and grid.mcp_server_id = timed.mcp_server_id
    left join checked
        on grid.health_date = checked.health_date and grid.mcp_server_id = checked.mcp_server_id

),

final as (

    select
        {{ row_key(['health_date', 'mcp_server_id']) }} as health_key,
        health_date,
        mcp_server_id,
        day_seconds,
        cast(up_seconds as integer) as up_seconds,
        cast(down_seconds as integer) as down_seconds,
        cast(unknown_seconds as integer) as unknown_seconds,
        cast(disabled_seconds as integer) as disabled_seconds,
        {{ share('up_seconds', 'known_seconds') }} as uptime_share,
        {{ share('known_seconds', 'day_seconds - disabled_seconds') }} as coverage_share,
        checks,
        checks_up,
        checks_down,
        checks_unknown_word,
        p50_response_ms,
        p95_response_ms,
        p99_response_ms,
        incidents,
        longest_outage_seconds,
        objective_share,
        1 - {{ share('down_seconds', '(1 - objective_share) * known_seconds') }}
            as error_budget_left_share,
        {{ build_stamp() }}

    from joined

)

select * from final
