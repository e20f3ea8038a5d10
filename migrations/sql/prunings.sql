create table if not exists ledger.prunings (
    pruning_id bigint generated always as identity primary key,
    begun_at timestamp with time zone default now() not null,
    finished_at timestamp with time zone,
    before_date date not null,
    before_at timestamp with time zone not null,
    built_xmin bigint not null,
    archive text,
    audit_rows bigint default 0 not null,
    health_rows bigint default 0 not null
);

comment on table ledger.prunings is
'Each removal of old raw rows: days that began before before_at keep their published figures and are never built again, and only rows written before built_xmin, which those figures hold, are removed.';

create table if not exists ledger.pruned_servers (
    mcp_server_id integer primary key,
    first_event_at timestamp with time zone not null,
    pruned_until timestamp with time zone not null
);

comment on table ledger.pruned_servers is
'What the health log no longer says of each MCP server: its first event, and until when its events were removed.';
