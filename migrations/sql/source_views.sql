create or replace function ledger.source_identity() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    cluster text;
    timeline text;
begin
    begin
        select s.system_identifier::text into cluster from pg_control_system() as s;
        if pg_is_in_recovery() then
            select lpad(upper(to_hex(c.timeline_id)), 8, '0') into timeline
            from pg_control_checkpoint() as c;
        else
            timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
        end if;
    exception
        -- not every server lets everybody ask
        when insufficient_privilege or feature_not_supported then null;
    end;
    return concat_ws(
        '/',
        coalesce(cluster, 'unknown'),
        coalesce(timeline, 'unknown'),
        (select d.oid from pg_database as d where d.datname = current_database()),
        to_regclass('omni2.audit_logs')::oid,
        to_regclass('omni2.mcp_health_log')::oid
    );
end
$$;

comment on function ledger.source_identity is
'What another server tells this database by: cluster, timeline, database, and the two logs. Where it changed, transaction ids from before mean nothing any more.';

create or replace view ledger.source_snapshot as
select
    ledger.source_identity() as identity,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest_xid,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid,
    (select max(v.version_num) from ledger.alembic_version as v) as revision,
    (select max(p.before_at) from ledger.prunings as p) as pruned_before;

comment on view ledger.source_snapshot is
'What a copy of this database on another server has to know of the snapshot that it reads.';

create or replace view ledger.source_columns as
select
    n.nspname::text as table_schema,
    c.relname::text as table_name,
    a.attnum::integer as position,
    a.attname::text as column_name,
    case
        when tn.nspname = 'pg_catalog' then format_type(a.atttypid, a.atttypmod) else 'text'
    end as column_type
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_class as c on a.attrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_type as t on a.atttypid = t.oid
inner join pg_catalog.pg_namespace as tn on t.typnamespace = tn.oid
where
    n.nspname in ('omni2', 'auth_service', 'ledger')
    and c.relkind in ('r', 'p', 'v')
    and a.attnum > 0
    and not a.attisdropped;

comment on view ledger.source_columns is
'The columns that a copy of this database on another server may have; types that only this database knows are read as text.';

create table if not exists ledger.ingests (
    id bigint generated always as identity primary key,
    taken_at timestamp with time zone default now() not null,
    identity text not null,
    oldest_xid bigint not null,
    next_xid bigint not null,
    audit_rows bigint not null,
    health_rows bigint not null,
    why_all text
);

comment on table ledger.ingests is
'On an analytics server, each taking over of what changed at the source: who the source was, the oldest transaction that was still running there, and why all rows were taken where they were.';
