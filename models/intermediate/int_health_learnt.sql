{#
    Kept, not computed by each of those who ask: it takes a look at the checks of two days for each
    day and server. Who is built from it builds the days again that are newer here
    (`taught_by` of `find_changed_health`). Views read it, so that it is emptied and never dropped.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='changed_days',
        on_schema_change='append_new_columns',
        full_refresh=false,
        unique_key='health_date',
        indexes=[{'columns': ['health_date', 'mcp_server_id']}],
        pre_hook=[
            "{{ begin_build() }}",
            "{{ begin_anew() }}",
            "{{ find_changed_health(ref('int_health_grid')) }}",
            "{{ look_into_index() }}",
        ],
        post_hook="{{ remember_health_inputs() }}",
    )
}}

{%- set events = ref('int_health_events') -%}

with

grid as (

    select * from {{ ref('int_health_grid') }}
    {{ where_day_changed('health_date') }}
    -- day by day the log is read once, server by server as often as there are servers
    order by health_date, mcp_server_id

),

-- of the day and the one before, so that a day which has only begun knows, too
final as (

    select
        grid.health_date,
        grid.mcp_server_id,
        learnt.interval_seconds as learnt_interval_seconds,
        {{ build_stamp() }}

    from grid
    cross join lateral (
        {{ learnt_interval(
            events,
            'grid.mcp_server_id',
            'grid.day_before_starts_at',
            'grid.next_day_starts_at',
        ) | indent(8) }}
    ) as learnt

)

select * from final
