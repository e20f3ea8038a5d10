"""The queries that the investigation prints, to the letter, each with the line where it begins.

Their `:name` parameters are bound as the gateway binds them.
"""

AUDIT = """
-- GET /api/v1/mcp/servers/{server_id}/audit
SELECT
    a.id,
    a.tool_called as tool_name,
    COALESCE(u.email, CAST(a.user_id AS VARCHAR)) as user_id,
    'production' as environment,
    a.tool_params as parameters,
    CASE
        WHEN a.success THEN 'success'
        ELSE 'error'
    END as result_status,
    a.result_summary,
    a.error_message,
    a.duration_ms as execution_time_ms,
    NULL as workflow_run_id,
    NULL as session_id,
    a.timestamp as created_at
FROM omni2.audit_logs a
LEFT JOIN auth_service.users u ON a.user_id = u.id
WHERE a.mcp_target = (
    SELECT name FROM omni2.mcp_servers WHERE id = :server_id
)
AND (:status IS NULL OR
     ((:status = 'success' AND a.success = true) OR
      (:status = 'error' AND a.success = false)))
AND (:search IS NULL OR
     a.tool_called ILIKE :search OR
     a.error_message ILIKE :search OR
     a.result_summary ILIKE :search)
ORDER BY a.timestamp DESC
LIMIT :limit;
"""
"""Line 218."""

HEALTH = """
-- GET /api/v1/mcp/servers/{server_id}/logs
SELECT
    id,
    timestamp,
    status,
    response_time_ms,
    error_message,
    event_type,
    meta_data
FROM omni2.mcp_health_log
WHERE mcp_server_id = :server_id
ORDER BY timestamp DESC
LIMIT :limit;
"""
"""Line 256."""

HAS_AUDIT_DATA = """
SELECT COUNT(*), MIN(timestamp), MAX(timestamp)
FROM omni2.audit_logs;
"""
"""Line 304."""

HAS_HEALTH_DATA = """
SELECT COUNT(*), MIN(timestamp), MAX(timestamp),
       status, mcp_server_id
FROM omni2.mcp_health_log
GROUP BY status, mcp_server_id;
"""
"""Line 310."""

CHECKED_SERVERS = """
SELECT m.name, m.id, COUNT(h.id) as log_count,
       MAX(h.timestamp) as last_check
FROM omni2.mcp_servers m
LEFT JOIN omni2.mcp_health_log h ON m.id = h.mcp_server_id
GROUP BY m.id, m.name;
"""
"""Line 318."""

QUOTA = """
        SELECT
            COALESCE(SUM(llm_tokens_used), 0) as tokens_used,
            COALESCE(SUM(cost_usd), 0) as cost_used
        FROM omni2.audit_logs
        WHERE user_id = :user_id
        AND timestamp >= CURRENT_DATE
        AND success = true
"""
"""Line 362."""

COLUMNS = """
SELECT column_name, data_type, is_nullable
FROM information_schema.columns
WHERE table_schema = 'omni2'
  AND table_name = 'audit_logs'
ORDER BY ordinal_position;
"""
"""Line 480."""

HAS_COST = """
SELECT column_name
FROM information_schema.columns
WHERE table_schema = 'omni2'
  AND table_name = 'audit_logs'
  AND column_name = 'cost_usd';
"""
"""Line 489."""

RECENT = """
SELECT id, user_id, timestamp, tool_called,
       llm_tokens_used, success,
       -- Try to select cost_usd if it exists
       -- Otherwise this will error
       cost_usd
FROM omni2.audit_logs
ORDER BY timestamp DESC
LIMIT 5;
"""
"""Line 498."""

WRITER = """
INSERT INTO audit_logs (
    user_id, request_type, message, message_preview, iterations, tool_calls_count, tools_used,
    mcps_accessed, duration_ms, tokens_input, tokens_output, tokens_cached, cost_estimate, status,
    warning, response_preview, ip_address, user_agent, slack_user_id, slack_channel,
    slack_message_ts, slack_thread_ts, success, created_at
)
VALUES (
    (SELECT id FROM users WHERE email = :user_id), :request_type, :message, :message_preview,
    :iterations, :tool_calls_count, :tools_used, :mcps_accessed, :duration_ms, :tokens_input,
    :tokens_output, :tokens_cached, :cost_estimate, :status, :warning, :response_preview,
    :ip_address, :user_agent, :slack_user_id, :slack_channel, :slack_message_ts, :slack_thread_ts,
    :success, NOW()
)
RETURNING id
"""
"""Line 81, where it lists the columns of the chat writer's INSERT."""

READ = {
    "the quota check": QUOTA,
    "the audit log of a server": AUDIT,
    "the health log of a server": HEALTH,
    "whether the audit log has data": HAS_AUDIT_DATA,
    "whether the health log has data": HAS_HEALTH_DATA,
    "which servers are checked": CHECKED_SERVERS,
    "the recent requests and their cost": RECENT,
    "the columns of the audit log": COLUMNS,
    "whether there is a cost": HAS_COST,
}
"""Those that only read, by what they are for."""
