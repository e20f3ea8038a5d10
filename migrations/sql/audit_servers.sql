create table if not exists ledger.audit_servers (
    server_name text not null,
    failed boolean not null,
    timestamp timestamp with time zone not null,
    audit_id bigint not null,
    primary key (server_name, failed, timestamp, audit_id)
);

comment on table ledger.audit_servers is
'Which servers a request reached besides the one that it names as its target: a list in order of time, which no index over an array can be. Kept by triggers on omni2.audit_logs.';

create or replace function ledger.note_servers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op in ('UPDATE', 'DELETE') and old.timestamp is not null then
        delete from ledger.audit_servers as s
        where
            s.server_name = any(old.mcps_accessed::text[])
            and s.failed = (old.success is not true)
            and s.timestamp = old.timestamp
            and s.audit_id = old.id;
    end if;
    if tg_op in ('INSERT', 'UPDATE') and new.timestamp is not null then
        -- A server's name has at most 255 characters, and a longer key could refuse the row.
        insert into ledger.audit_servers (server_name, failed, timestamp, audit_id)
        select
            n.server_name,
            new.success is not true,
            new.timestamp,
            new.id
        from unnest(new.mcps_accessed::text[]) as n (server_name)
        where n.server_name <> coalesce(new.mcp_target, '') and length(n.server_name) <= 255
        on conflict do nothing;
    end if;
    return null;
end
$$;

comment on function ledger.note_servers is
'Keeps ledger.audit_servers true to the row that was written or deleted.';

create or replace function ledger.forget_servers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    truncate ledger.audit_servers;
    return null;
end
$$;

comment on function ledger.forget_servers is
'Empties ledger.audit_servers with omni2.audit_logs.';
