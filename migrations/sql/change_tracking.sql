create or replace function ledger.stamp_change() returns trigger
language plpgsql
as $$
begin
    new.change_xid := pg_current_xact_id()::text::bigint;
    return new;
end
$$;

comment on function ledger.stamp_change is
'Notes on an updated row which transaction wrote it last.';

-- Without its fraction the last instant that there is is not rounded up past itself.
create or replace function ledger.note_departed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ledger.deleted_days (source_table, period_start)
    values (
        tg_table_name,
        to_timestamp(floor(extract(epoch from date_trunc('second', old.timestamp)) / 900) * 900)
    );
    return null;
end
$$;

comment on function ledger.note_departed is
'Notes the quarter of an hour that a moved row left; quarters fit the days of every time zone.';

create or replace function ledger.note_deleted() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ledger.deleted_days (source_table, period_start)
    select distinct
        tg_table_name,
        to_timestamp(floor(extract(epoch from date_trunc('second', d.timestamp)) / 900) * 900)
    from deleted as d
    where d.timestamp is not null;
    return null;
end
$$;

comment on function ledger.note_deleted is
'Notes the quarters of an hour that deleted rows left.';

create or replace function ledger.note_truncated() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ledger.deleted_days (source_table, period_start)
    values (tg_table_name, '-infinity');
    return null;
end
$$;

comment on function ledger.note_truncated is
'Notes that a whole table was emptied.';
