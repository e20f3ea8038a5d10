create or replace function ledger.audit_text(
    question text,
    tool_called text,
    tools_used text [],
    error_message text,
    result_summary text
) returns text
language plpgsql immutable parallel safe
as $$
begin
    return pg_catalog.concat_ws(
        e'\n',
        coalesce(pg_catalog.left(question, 500), ''),
        coalesce(
            tool_called, pg_catalog.left(pg_catalog.array_to_string(tools_used, ', '), 500), ''
        ),
        coalesce(pg_catalog.left(error_message, 500), ''),
        coalesce(pg_catalog.left(result_summary, 500), '')
    );
end
$$;

comment on function ledger.audit_text is
'What is searched of a row: tools, and the first 500 characters of question, error and summary, so that a long text is no slow insert. Whoever writes a row calls it for the index, so it calls nothing that takes a right.';

create or replace function ledger.audit_keys(
    mcp_target text,
    mcps_accessed text [],
    user_id bigint
) returns text []
language plpgsql immutable parallel safe
as $$
begin
    return array['s:' || mcp_target, 'u:' || cast(user_id as text)]
        || array(select 's:' || pg_catalog.left(n, 255) from pg_catalog.unnest(mcps_accessed) as n);
end
$$;

comment on function ledger.audit_keys is
'Servers and user of a row, which the search index holds beside the text: a word is looked up among the rows of one server, however common it is elsewhere.';
