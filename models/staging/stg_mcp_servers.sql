with

source as (

    select * from {{ source('omni2', 'mcp_servers') }}

),

renamed as (

    select
        cast(id as integer) as mcp_server_id,
        cast(name as text) as mcp_server_name

    from source

)

select * from renamed
