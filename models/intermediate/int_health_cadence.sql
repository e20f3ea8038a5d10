with

grid as (

    select * from {{ ref('int_health_grid') }}

),

learnt as (

    select * from {{ ref('int_health_learnt') }}

),

final as (

    select
        grid.health_date,
        grid.mcp_server_id,
        grid.starts_at,
        grid.ends_at,
        grid.next_day_starts_at,
        grid.day_seconds,
        grid.stated_interval_seconds,
        grid.longest_hold_seconds,
        {{ check_interval('grid.stated_interval_seconds', 'learnt.learnt_interval_seconds') }}
            as check_interval_seconds,
        case
            when grid.stated_interval_seconds is not null then 'stated'
            when learnt.learnt_interval_seconds is not null then 'learnt'
            else 'setting'
        end as check_interval_source

    from grid
    left join learnt
        on grid.health_date = learnt.health_date and grid.mcp_server_id = learnt.mcp_server_id

)

select * from final
