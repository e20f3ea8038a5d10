{{ config(materialized='view') }}

with

-- Straight from the source: the contract shows what staging leaves out, texts and parameters.
audit_logs as (

    select * from {{ source('omni2', 'audit_logs') }}

),

users as (

    select * from {{ ref('stg_users') }}

),

final as (

    select
        cast(audit_logs.id as integer) as id,
        coalesce(
            cast(audit_logs.tool_called as text),
            array_to_string(audit_logs.tools_used, ', ')
        ) as tool_name,
        coalesce(users.email, cast(audit_logs.user_id as text)) as user_id,
        cast('production' as text) as environment,
        cast(audit_logs.tool_params as jsonb) as parameters,  -- noqa: RF04
        case when audit_logs.success then 'success' else 'error' end as result_status,
        cast(audit_logs.result_summary as text) as result_summary,
        cast(audit_logs.error_message as text) as error_message,
        cast(audit_logs.duration_ms as integer) as execution_time_ms,
        cast(null as text) as workflow_run_id,
        cast(null as text) as session_id,
        cast(audit_logs.timestamp as timestamptz) as created_at

    from audit_logs
    left join users on audit_logs.user_id = users.user_id
    where audit_logs.timestamp is not null

)

select * from final
