create or replace function ledger.audit_complaint(
    at timestamp with time zone,
    cost numeric
) returns text
language sql immutable parallel safe
as $$
    select case
        when at is null then 'the row has no time'
        when cost in ('NaN', 'Infinity', '-Infinity') then 'its cost is ' || cost::text || ', not an amount'
    end
$$;

comment on function ledger.audit_complaint is
'Why the ledger can not hold a row of the old audit table, or NULL where it can.';
