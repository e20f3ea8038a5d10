create or replace function ledger.audit_complaint(
    at timestamp with time zone,
    cost numeric
) returns text
language sql immutable parallel safe
as $$
    select case
        when at is null then 'the row has no time'
        -- NaN and infinity have no scale; by name PostgreSQL 13 can't read an infinite amount.
        when cost is not null and scale(cost) is null then 'its cost is ' || cost::text || ', not an amount'
    end
$$;

comment on function ledger.audit_complaint is
'Why the ledger can not hold a row of the old audit table, or NULL where it can.';
