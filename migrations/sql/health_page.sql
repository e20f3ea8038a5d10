create or replace function ledger.mcp_server_logs(
    server_id bigint,
    "limit" bigint default null
) returns table (
    id integer,
    "timestamp" timestamp with time zone,
    status text,
    response_time_ms integer,
    error_message text,
    event_type text,
    meta_data jsonb
)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    select
        cast(h.id as integer),
        h.timestamp,
        cast(h.status as text),
        cast(h.response_time_ms as integer),
        h.error_message,
        cast(h.event_type as text),
        cast(h.meta_data as jsonb)
    from omni2.mcp_health_log as h
    where h.mcp_server_id = mcp_server_logs.server_id and h.timestamp is not null
    order by h.timestamp desc, h.id desc
    limit least(greatest(coalesce("limit", 100), 0), 1000);
end
$$;

comment on function ledger.mcp_server_logs is
'The HealthLog contract: what was noticed of one server, newest first. limit: 100 unless said, 1,000 at most. Events without a time are left out.';
