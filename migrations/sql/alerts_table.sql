create table if not exists ledger.alerts (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    sentence text not null,
    opened_at timestamp with time zone default now() not null,
    resolved_at timestamp with time zone,
    told_at timestamp with time zone,
    end_told_at timestamp with time zone,
    attempts integer default 0 not null,
    last_failure text
);

comment on table ledger.alerts is
'Each event that the operator is alerted to: when it began and ended, when each was told, and why it could not be.';

create unique index if not exists alerts_open_idx
on ledger.alerts (kind, subject) where resolved_at is null;
