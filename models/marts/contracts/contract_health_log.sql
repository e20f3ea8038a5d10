{{ config(materialized='view') }}

with

-- Straight from the source: the contract shows what staging leaves out.
health_log as (

    select * from {{ source('omni2', 'mcp_health_log') }}

),

final as (

    select
        cast(id as integer) as id,
        cast(timestamp as timestamptz) as timestamp,  -- noqa: RF04
        cast(status as text) as status,
        cast(response_time_ms as integer) as response_time_ms,
        cast(error_message as text) as error_message,
        cast(event_type as text) as event_type,
        cast(meta_data as jsonb) as meta_data

    from health_log

)

select * from final
