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
        {{ number_of_seconds('coalesce(health_check_interval_seconds, health_check_interval)') }}
            as stated_interval_seconds

    from source

)

select * from renamed
