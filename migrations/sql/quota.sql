create table if not exists ledger.limit_history (
    user_id integer,
    valid_from timestamp with time zone not null,
    cost_limit numeric not null,
    basis text not null
);

comment on table ledger.limit_history is
'What each user may spend in a day, from when on, as it was noticed; without a user, everybody who has no limit of their own. So that a limit of today does not judge last year.';

create index if not exists limit_history_user_id_idx on ledger.limit_history (user_id, valid_from);

do $$
begin
    create type ledger.usage_limit as (
        allowed boolean,
        tokens_used bigint,
        cost_used numeric,
        cost_limit numeric,
        remaining numeric,
        exceeded boolean,
        tokens_unpriced bigint
    );
exception
    when duplicate_object then null;
end
$$;

comment on type ledger.usage_limit is
'What a user used today and may still use; costs in US dollars.';

create or replace function ledger.default_cost_limit() returns numeric
language sql stable parallel safe
as $$
    select greatest(coalesce(
        (select s.value::numeric from ledger.settings as s where s.name = 'default_cost_limit'),
        10.00
    ), 0)
$$;

comment on function ledger.default_cost_limit is
'What a user for whom nothing is set may spend in a day, in US dollars.';
