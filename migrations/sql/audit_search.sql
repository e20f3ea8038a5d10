create or replace function ledger.joined_names(names text []) returns text
language plpgsql immutable strict parallel safe
as $$
begin
    return pg_catalog.left(pg_catalog.array_to_string(names, ', '), 500);
end
$$;

comment on function ledger.joined_names is
'Names in one text; immutable, as array_to_string is not for every kind of array.';

create or replace function ledger.keys_of_names(names text []) returns text []
language plpgsql immutable strict parallel safe
as $$
begin
    return array(select 's:' || pg_catalog.left(n, 255) from pg_catalog.unnest(names) as n);
end
$$;

comment on function ledger.keys_of_names is
'What ledger.audit_keys says of several servers.';

create or replace function ledger.audit_text(
    question text,
    tool_called text,
    tools_used text [],
    error_message text,
    result_summary text
) returns text
language sql immutable parallel safe
as $$
    select
        coalesce(left(question, 500), '')
        || e'\n' || coalesce(tool_called, ledger.joined_names(tools_used), '')
        || e'\n' || coalesce(left(error_message, 500), '')
        || e'\n' || coalesce(left(result_summary, 500), '')
$$;

comment on function ledger.audit_text is
'What is searched of a row: tools, and the first 500 characters of question, error and summary, so that a long text is no slow insert. No setting of its own, for only then does the planner see its index.';

create or replace function ledger.audit_keys(
    mcp_target text,
    mcps_accessed text [],
    user_id bigint
) returns text []
language sql immutable parallel safe
as $$
    select
        array['s:' || mcp_target, 'u:' || cast(user_id as text)]
        || coalesce(ledger.keys_of_names(mcps_accessed), '{}')
$$;

comment on function ledger.audit_keys is
'Servers and user of a row, which the search index holds beside the text: a word is looked up among the rows of one server, however common it is elsewhere.';
