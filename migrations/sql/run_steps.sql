create table if not exists ledger.run_steps (
    run_id uuid not null,
    step text not null,
    part text default '' not null,
    started_at timestamp with time zone default now() not null,
    seconds numeric,
    rows bigint,
    detail text,
    primary key (run_id, step, part)
);

comment on table ledger.run_steps is
'How long each step of each run took; a part of a step, such as a model, is a row of its own.';

comment on column ledger.run_steps.seconds is
'By a clock that never jumps; NULL while the step is under way, and for ever where it was killed.';

comment on column ledger.run_steps.rows is
'Rows that it wrote, where it says so.';

comment on column ledger.runs.versions is
'What was at work: omniledger, its libraries, PostgreSQL and the revision of the schema.';
