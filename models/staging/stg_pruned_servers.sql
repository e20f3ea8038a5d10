with

source as (

    select * from {{ source('ledger', 'pruned_servers') }}

),

renamed as (

    select
        cast(mcp_server_id as integer) as mcp_server_id,
        cast(first_event_at as timestamptz) as first_event_at

    from source

)

select * from renamed
