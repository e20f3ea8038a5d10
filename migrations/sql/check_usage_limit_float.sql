-- A limit that a program keeps as a float finds this one.
create or replace function ledger.check_usage_limit(
    user_id bigint,
    cost_limit double precision
) returns ledger.usage_limit
language sql stable
as $$
    select ledger.check_usage_limit($1, $2::numeric)
$$;

comment on function ledger.check_usage_limit(bigint, double precision) is
'The same with a limit that is a float.';
