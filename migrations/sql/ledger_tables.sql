create table if not exists ledger.settings (
    name text primary key,
    value text not null
);

comment on table ledger.settings is
'What the database itself has to know: the default model, the reporting time zone, and for a sample database the moment at which its clock stands (as_of).';

create table if not exists ledger.model_prices (
    model text not null,
    valid_from timestamp with time zone not null,
    valid_to timestamp with time zone,
    input numeric not null,
    output numeric not null,
    cached_read numeric,
    cache_write_5m numeric,
    cache_write_1h numeric,
    source text not null,
    primary key (model, valid_from)
);

comment on table ledger.model_prices is
'List prices in US dollars per million tokens, each for the time from valid_from until before valid_to.';

create table if not exists ledger.model_history (
    valid_from timestamp with time zone primary key,
    model text not null
);

comment on table ledger.model_history is
'Which model ran from when on, as the operator says it, for rows that do not say it themselves.';

create table if not exists ledger.user_map (
    legacy_user_id bigint primary key,
    user_id integer not null,
    how text not null
);

comment on table ledger.user_map is
'Who is who: the user under the old name of the audit log, and the same person among auth_service.users.';

create table if not exists ledger.deleted_days (
    source_table text not null,
    period_start timestamp with time zone not null,
    change_xid bigint default (pg_current_xact_id()::text::bigint) not null
);

comment on table ledger.deleted_days is
'Quarters of an hour that a row left, by DELETE or by a changed time; -infinity after a TRUNCATE. Incremental models rebuild those days.';

alter table ledger.deleted_days replica identity full;

create index if not exists deleted_days_change_xid_idx on ledger.deleted_days (change_xid);

create table if not exists ledger.audit_quarantine (
    legacy_id bigint primary key,
    reason text not null,
    row jsonb not null,
    quarantined_at timestamp with time zone default now() not null
);

comment on table ledger.audit_quarantine is
'Rows of the old audit table that the ledger can not hold, whole, each with the reason in words.';

create table if not exists ledger.audit_matches (
    legacy_id bigint primary key,
    audit_id bigint not null unique,
    gained text[] not null
);

comment on table ledger.audit_matches is
'Requests that both systems logged: the row of each, and the columns that the gateway''s row gained.';

create table if not exists ledger.audit_tombstones (
    legacy_id bigint not null,
    deleted_at timestamp with time zone default now() not null
);

comment on table ledger.audit_tombstones is
'Old ids whose rows were deleted after the merge, so that a row which is gone is not taken for one that was lost.';

-- Or a publication of all tables would refuse every delete from a table without a key.
alter table ledger.audit_tombstones replica identity full;

create index if not exists audit_tombstones_legacy_id_idx on ledger.audit_tombstones (legacy_id);

create table if not exists ledger.audit_merge_changes (
    change_id bigint generated always as identity primary key,
    legacy_id bigint not null
);

comment on table ledger.audit_merge_changes is
'Ids written in the old audit table since the merge began, to be applied again before the cut over.';

create table if not exists ledger.merge_runs (
    id bigint generated always as identity primary key,
    started_at timestamp with time zone default now() not null,
    finished_at timestamp with time zone,
    legacy_table text not null,
    rows_total bigint,
    rows_copied bigint,
    rows_matched bigint,
    rows_quarantined bigint,
    rows_ambiguous bigint,
    users_unmapped bigint,
    sums jsonb,
    checksum text,
    holds boolean,
    detail text,
    shape jsonb not null,
    cutover_xid bigint
);

comment on table ledger.merge_runs is
'The certificate of each merge: every old row accounted for, and each sum, before and after.';

create table if not exists ledger.runs (
    run_id uuid primary key,
    started_at timestamp with time zone default now() not null,
    finished_at timestamp with time zone,
    verdict text default 'running' not null,
    reason text,
    figures jsonb
);

comment on table ledger.runs is
'Each run of the daily flow: running, published, refused by the gate, or failed, and why.';

create table if not exists ledger.gate_results (
    run_id uuid not null,
    suite text not null,
    expectation text not null,
    column_name text,
    severity text not null,
    passed boolean not null,
    observed text,
    unexpected_count bigint,
    sample jsonb,
    judged_at timestamp with time zone default now() not null
);

comment on table ledger.gate_results is
'What the gate judged, one row for each expectation of each run.';

alter table ledger.gate_results replica identity full;

create index if not exists gate_results_run_id_idx on ledger.gate_results (run_id);

insert into ledger.model_prices (
    model, valid_from, input, output, cached_read, cache_write_5m, cache_write_1h, source
)
values ('claude-3-5-haiku', '-infinity', 0.80, 4.00, 0.08, 1.00, 1.60, 'investigation, 2024-12')
on conflict do nothing;
