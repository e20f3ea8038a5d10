-- Columns have a collation that knows no case, where the server has ICU: no pattern matches by it.

do $$
declare
    name text := '"C"';
begin
    begin
        create collation public.caseless (
            provider = icu, locale = 'und-u-ks-level2', deterministic = false
        );
        name := 'public.caseless';
    exception
        when feature_not_supported then null;
    end;
    execute format(
        'alter table omni2.audit_logs'
        ' alter question type text collate %1$s,'
        ' alter mcp_target type character varying(255) collate %1$s,'
        ' alter tool_called type character varying(255) collate %1$s,'
        ' alter error_message type text collate %1$s,'
        ' alter result_summary type text collate %1$s,'
        ' add llm_model character varying(255) collate %1$s',
        name
    );
    execute format(
        'alter table omni2.mcp_servers alter name type character varying(255) collate %s', name
    );
    execute format(
        'alter table auth_service.users alter email type character varying(255) collate %s', name
    );
end
$$;

insert into omni2.mcp_servers (id, name) values (1, 'files'), (2, 'search');

insert into auth_service.users (id, username, name, email) values
(3, 'bob', 'Bob', 'bob@example.com');
