{%- set servers = source('omni2', 'mcp_servers') -%}

with

source as (

    select
        {{ optional_columns(servers, {
            'id': 'integer',
            'name': 'text',
            'health_check_interval_seconds': 'text',
            'health_check_interval': 'text',
        }) }}

    from {{ optional_relation(servers) }}

),

renamed as (

    select
        id as mcp_server_id,
        name as mcp_server_name,
        cast(
            substring(
                coalesce(health_check_interval_seconds, health_check_interval)
                from '^\s*(\d{1,5}(?:\.\d+)?)\s*$'
            ) as numeric
        ) as stated_interval_seconds

    from source

)

select * from renamed
