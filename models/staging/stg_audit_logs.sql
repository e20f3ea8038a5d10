with

source as (

    select * from {{ source('omni2', 'audit_logs') }}

),

renamed as (

    select
        -- ids
        cast(id as bigint) as audit_log_id,
        cast(legacy_id as bigint) as legacy_id,
        cast(
            case when user_id between -2147483648 and 2147483647 then user_id end as integer
        ) as user_id,
        cast(source_system as text) as source_system,

        -- what was asked of whom
        cast(request_type as text) as request_type,
        cast(mcp_target as text) as mcp_target,
        cast(tool_called as text) as tool_called,
        to_jsonb(tools_used) as tools_used,
        to_jsonb(mcps_accessed) as mcps_accessed,
        cast(tool_calls_count as bigint) as tool_calls_count,
        -- its own collation may match no pattern
        cast(llm_model as text) collate "default" as llm_model,

        -- how it went
        cast(success as boolean) as is_success,
        cast(status as text) as request_status,
        cast(was_blocked as boolean) as was_blocked,
        cast(duration_ms as numeric) as duration_ms,

        -- tokens and money
        cast(tokens_input as bigint) as tokens_input,
        cast(tokens_output as bigint) as tokens_output,
        cast(tokens_cached as bigint) as tokens_cached,
        cast(tokens_cache_write as bigint) as tokens_cache_write,
        cast(llm_tokens_used as bigint) as tokens_total,
        cast(cost_usd as numeric) as cost_usd,

        -- times
        cast(timestamp as timestamptz) as event_at,
        cast(change_xid as bigint) as change_xid

    from source

)

select * from renamed
