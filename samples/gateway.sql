-- A gateway whose two audit logs drifted apart, as its operator found it: the chat writer's table
-- in `public`, with its own users, beside the gateway's own `omni2` and `auth_service`.

create schema omni2;

create schema auth_service;

create table public.users (
    id serial primary key,
    email character varying(255) unique,
    name character varying(255)
);

create table public.audit_logs (
    id serial primary key,
    user_id integer references public.users (id) on delete set null,
    request_type character varying(50) default 'chat',
    message text,
    message_preview text,
    iterations integer default 0,
    tool_calls_count integer default 0,
    tools_used text [],
    mcps_accessed text [],
    duration_ms integer,
    tokens_input integer default 0,
    tokens_output integer default 0,
    tokens_cached integer default 0,
    cost_estimate numeric(10, 6) default 0,
    status character varying(50) default 'success',
    warning text,
    response_preview text,
    ip_address inet,
    user_agent text,
    slack_user_id character varying(50),
    slack_channel character varying(100),
    slack_message_ts character varying(50),
    slack_thread_ts character varying(50),
    success boolean default true,
    created_at timestamp with time zone default now()
);

create index idx_audit_logs_user_id on public.audit_logs (user_id);

create index idx_audit_logs_created_at on public.audit_logs (created_at);

create table auth_service.roles (
    id serial primary key,
    name character varying(100) not null unique,
    cost_limit_daily numeric(10, 2) default 10.00
);

create table auth_service.users (
    id serial primary key,
    username character varying(255),
    name character varying(255),
    email character varying(255) not null,
    role_id integer references auth_service.roles (id),
    active boolean default true
);

create table omni2.mcp_servers (
    id serial primary key,
    name character varying(255) not null unique,
    url text
);

create table omni2.mcp_health_log (
    id serial primary key,
    mcp_server_id integer not null references omni2.mcp_servers (id),
    timestamp timestamp with time zone default now() not null,
    status character varying(20) not null,
    response_time_ms integer,
    error_message text,
    meta_data jsonb,
    event_type character varying(50)
);

create index idx_mcp_health_log_server on omni2.mcp_health_log (mcp_server_id);

create index idx_mcp_health_log_timestamp on omni2.mcp_health_log (timestamp);

create table omni2.audit_logs (
    id serial primary key,
    user_id integer,
    timestamp timestamp with time zone default now() not null,
    question text not null,
    mcp_target character varying(255),
    tool_called character varying(255),
    tool_params jsonb,
    success boolean not null,
    duration_ms integer,
    result_summary text,
    error_message text,
    error_id character varying(50),
    slack_channel character varying(100),
    slack_user_id character varying(50),
    slack_message_ts character varying(50),
    slack_thread_ts character varying(50),
    llm_confidence numeric(3, 2),
    llm_reasoning text,
    llm_tokens_used integer,
    ip_address inet,
    user_agent text,
    was_blocked boolean,
    block_reason text
);

create index idx_omni2_audit_logs_user_id on omni2.audit_logs (user_id);

create index idx_omni2_audit_logs_timestamp on omni2.audit_logs (timestamp);

create index idx_omni2_audit_logs_tool_called on omni2.audit_logs (tool_called);

create index idx_omni2_audit_logs_mcp_target on omni2.audit_logs (mcp_target);

create index idx_omni2_audit_logs_success on omni2.audit_logs (success);

create index idx_omni2_audit_logs_was_blocked on omni2.audit_logs (was_blocked);
