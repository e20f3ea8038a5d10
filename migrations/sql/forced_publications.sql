create table if not exists ledger.forced_publications (
    id bigint generated always as identity primary key,
    run_id uuid not null,
    forced_at timestamp with time zone default now() not null,
    forced_by text default session_user not null,
    why text not null check (why ~ '\S'),
    overridden jsonb not null,
    days jsonb not null,
    rows_published bigint not null
);

comment on table ledger.forced_publications is
'Each time that figures which the gate refused were published all the same: who did it, when, why, which expectations were overridden, and what was published. Kept for ever.';

create or replace function ledger.refuse_to_forget() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is kept for ever: its rows are neither changed nor deleted',
        tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

comment on function ledger.refuse_to_forget is
'Makes a table one to which rows are only added.';

drop trigger if exists omniledger_keep_for_ever on ledger.forced_publications;

create trigger omniledger_keep_for_ever
before update or delete or truncate on ledger.forced_publications
for each statement execute function ledger.refuse_to_forget();
