{{
    config(
        incremental_strategy='changed_days',
        unique_key='health_date',
        indexes=[{'columns': ['health_date', 'built_at', 'built_xmin']}],
        pre_hook=[
            "{{ find_changed_health(ref('int_health_grid'), taught_by=ref('int_health_learnt')) }}",
            "{{ plan_for_many_rows() }}",
        ],
        post_hook=["{{ keep_pruned_days() }}", "{{ remember_health_inputs() }}"],
    )
}}

with

cadence as (

    select * from {{ ref('int_health_cadence') }}
    {{ where_day_changed('health_date') }}

),

intervals as (

    select
        *,
        lead(server_state) over (
            partition by health_date, mcp_server_id
            order by started_at
        ) as next_state

    from {{ ref('int_health_intervals') }}
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
        count(*) filter (where server_state = 'down') as outages,
        count(*) filter (where server_state = 'down' and not is_continued) as incidents,
        coalesce(max(seconds) filter (where server_state = 'down'), 0) as longest_outage_seconds,
        (array_agg(server_state order by started_at))[1] as state_at_start,
        jsonb_agg(
            jsonb_build_object(
                'start_epoch', cast(extract(epoch from started_at) as bigint),
                'seconds', seconds,
                'is_continued', is_continued,
                'next_state', next_state,
                'checks', checks,
                'first_error', first_error,
                'last_error', last_error
            )
            order by started_at
        ) filter (where server_state = 'down') as outage_list

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
        count(*) filter (where server_state = 'disabled') as checks_disabled,
        count(*) filter (where status_word = 'unhealthy') as checks_unhealthy,
        count(*) filter (where status_word = 'timeout') as checks_timeout,
        count(*) filter (where status_word = 'disconnected') as checks_disconnected,
        count(*) filter (where status_word = 'circuitopen') as checks_circuit_open,
        count(*) filter (where status_word = 'error') as checks_error,
        count(*) filter (where is_unknown_word) as checks_unknown_word,
        count(response_ms) as responses,
        count(*) filter (where is_impossible_response) as responses_impossible,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by response_ms)
            as percentiles_ms

    from day_events
    where not is_carried_in
    group by 1, 2

),

joined as (

    select
        cadence.health_date,
        cadence.mcp_server_id,
        cadence.day_seconds,
        cadence.stated_interval_seconds,
        cadence.check_interval_seconds,
        cadence.check_interval_source,
        timed.up_seconds,
        timed.down_seconds,
        timed.unknown_seconds,
        timed.disabled_seconds,
        timed.outages,
        timed.incidents,
        timed.longest_outage_seconds,
        timed.state_at_start,
        coalesce(timed.outage_list, '[]') as outage_list,
        cast(timed.up_seconds + timed.down_seconds as numeric) as known_seconds,
        coalesce(checked.checks, 0) as checks,
        coalesce(checked.checks_up, 0) as checks_up,
        coalesce(checked.checks_down, 0) as checks_down,
        coalesce(checked.checks_disabled, 0) as checks_disabled,
        coalesce(checked.checks_unhealthy, 0) as checks_unhealthy,
        coalesce(checked.checks_timeout, 0) as checks_timeout,
        coalesce(checked.checks_disconnected, 0) as checks_disconnected,
        coalesce(checked.checks_circuit_open, 0) as checks_circuit_open,
        coalesce(checked.checks_error, 0) as checks_error,
        coalesce(checked.checks_unknown_word, 0) as checks_unknown_word,
        coalesce(checked.responses, 0) as responses,
        coalesce(checked.responses_impossible, 0) as responses_impossible,
        cast(checked.percentiles_ms[1] as numeric) as p50_response_ms,
        cast(checked.percentiles_ms[2] as numeric) as p95_response_ms,
        cast(checked.percentiles_ms[3] as numeric) as p99_response_ms,
        cast({{ setting_literal('health_objective') }} as numeric) as objective_share

    from cadence
    inner join timed
        on cadence.health_date = timed.health_date and cadence.mcp_server_id = timed.mcp_server_id
    left join checked
        on
            cadence.health_date = checked.health_date
            and cadence.mcp_server_id = checked.mcp_server_id

),

budgeted as (

    select
        *,
        (1 - objective_share) * known_seconds as error_budget_seconds,
        {{ share('down_seconds', '(1 - objective_share) * known_seconds') }} as burn_rate

    from joined

),

final as (

    select
        {{ row_key(['health_date', 'mcp_server_id']) }} as health_key,
        health_date,
        mcp_server_id,
        day_seconds,
        stated_interval_seconds,
        check_interval_seconds,
        check_interval_source,
        cast(up_seconds as integer) as up_seconds,
        cast(down_seconds as integer) as down_seconds,
        cast(unknown_seconds as integer) as unknown_seconds,
        cast(disabled_seconds as integer) as disabled_seconds,
        {{ share('up_seconds', 'known_seconds') }} as uptime_share,
        {{ share('known_seconds', 'day_seconds - disabled_seconds') }} as coverage_share,
        checks,
        checks_up,
        checks_down,
        checks_disabled,
        checks_unhealthy,
        checks_timeout,
        checks_disconnected,
        checks_circuit_open,
        checks_error,
        checks_unknown_word,
        responses,
        responses_impossible,
        p50_response_ms,
        p95_response_ms,
        p99_response_ms,
        incidents,
        outages,
        longest_outage_seconds,
        {{ share('down_seconds', 'cast(outages as numeric)') }} as mttr_seconds,
        {{ share('up_seconds', 'cast(incidents as numeric)') }} as mtbf_seconds,
        objective_share,
        trim_scale(error_budget_seconds) as error_budget_seconds,
        trim_scale(error_budget_seconds - down_seconds) as error_budget_left_seconds,
        1 - burn_rate as error_budget_left_share,
        burn_rate,
        state_at_start,
        outage_list,
        {{ build_stamp() }}

    from budgeted

)

select * from final
