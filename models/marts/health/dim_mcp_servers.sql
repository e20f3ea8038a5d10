{{
    config(
        incremental_strategy='changed_rows',
        unique_key='mcp_server_id',
        full_refresh=false,
    )
}}

with

servers as (

    select * from {{ ref('stg_mcp_servers') }}

),

health_events as (

    select * from {{ ref('int_health_events') }}

),

noticed as (

    select
        mcp_server_id,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at

    from health_events
    group by 1

),

final as (

    select
        coalesce(servers.mcp_server_id, noticed.mcp_server_id) as mcp_server_id,
        servers.mcp_server_name,
        noticed.first_event_at,
        noticed.last_event_at,
        {{ build_stamp() }}

    from servers
    full outer join noticed on servers.mcp_server_id = noticed.mcp_server_id

)

select * from final
