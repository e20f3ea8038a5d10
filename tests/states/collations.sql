-- Columns have collations of two kinds, which don't go together.

alter table omni2.audit_logs
alter mcp_target type character varying(255) collate "C",
alter tool_called type character varying(255) collate "C",
alter error_message type text collate "POSIX",
alter result_summary type text collate "POSIX",
add llm_model character varying(255) collate "POSIX";

alter table omni2.mcp_servers alter name type character varying(255) collate "POSIX";

alter table auth_service.users alter email type character varying(255) collate "C";

insert into omni2.mcp_servers (id, name) values (1, 'files'), (2, 'search');

insert into auth_service.users (id, username, name, email) values
(3, 'bob', 'Bob', 'bob@example.com');
