-- Without a WITH, which would be a wall to the planner: so whoever wants the newest events of a
-- server takes them from an index, in order.
select
    cast(id as bigint) as health_event_id,
    cast(mcp_server_id as integer) as mcp_server_id,
    cast(status as text) as reported_status,
    cast(event_type as text) as event_type,
    cast(response_time_ms as numeric) as response_ms,
    cast(error_message as text) as error_message,
    cast(timestamp as timestamptz) as event_at,
    cast(change_xid as bigint) as change_xid

from {{ source('omni2', 'mcp_health_log') }}
