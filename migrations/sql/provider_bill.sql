create table if not exists ledger.bill_imports (
    import_id bigint generated always as identity primary key,
    imported_at timestamp with time zone default now() not null,
    source text not null,
    form text not null,
    first_date date not null,
    last_date date not null,
    charges bigint not null,
    amount_usd numeric not null,
    tokens numeric not null,
    buckets_changed bigint not null,
    buckets_unchanged bigint not null
);

comment on table ledger.bill_imports is
'Each file or answer of the provider that was taken in: what it was, the days (UTC) that it covers, and what it changed.';

create table if not exists ledger.provider_buckets (
    fact text not null,
    bucket_start timestamp with time zone not null,
    bucket_end timestamp with time zone not null,
    import_id bigint not null,
    reported_at timestamp with time zone default now() not null,
    primary key (fact, bucket_start)
);

comment on table ledger.provider_buckets is
'The stretches of time that the provider has reported on, usage or cost, and the import that spoke last of each: one without rows is known to be empty.';

create table if not exists ledger.provider_usage (
    bucket_start timestamp with time zone not null,
    bucket_end timestamp with time zone not null,
    model text,
    token_kind text not null,
    quantity numeric not null,
    service_tier text,
    workspace text,
    api_key text,
    detail text not null,
    import_id bigint not null
);

comment on table ledger.provider_usage is
'What the provider counted: tokens (or, for web_search, searches) by bucket, model and kind. Only the figures that are in force; provider_usage_history has those that they replaced.';

create index if not exists provider_usage_bucket_start_idx on ledger.provider_usage (bucket_start);

create table if not exists ledger.provider_costs (
    bucket_start timestamp with time zone not null,
    bucket_end timestamp with time zone not null,
    model text,
    cost_type text not null,
    token_kind text,
    amount_usd numeric not null,
    list_amount_usd numeric,
    service_tier text,
    workspace text,
    api_key text,
    detail text not null,
    import_id bigint not null
);

comment on table ledger.provider_costs is
'What the provider charges, in US dollars, by bucket, model and kind: amount_usd after discounts, list_amount_usd before them where it says so. Only the figures that are in force; provider_costs_history has those that they replaced.';

create index if not exists provider_costs_bucket_start_idx on ledger.provider_costs (bucket_start);

create table if not exists ledger.provider_usage_history (
    like ledger.provider_usage,
    replaced_at timestamp with time zone default now() not null,
    replaced_by bigint not null
);

comment on table ledger.provider_usage_history is
'Figures of provider_usage that a later import replaced, and which import that was.';

create table if not exists ledger.provider_costs_history (
    like ledger.provider_costs,
    replaced_at timestamp with time zone default now() not null,
    replaced_by bigint not null
);

comment on table ledger.provider_costs_history is
'Figures of provider_costs that a later import replaced, and which import that was.'
