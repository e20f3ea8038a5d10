create or replace function ledger.is_dated(at timestamp with time zone) returns boolean
language sql immutable parallel safe
as $$
    select at >= '0001-01-03 00:00+00' and at < '9999-12-30 00:00+00'
$$;

comment on function ledger.is_dated is
'Whether clients in any time zone can read a time: those of Python and JSON know neither infinity nor years beyond 1 to 9999. It has no settings of its own, so that it becomes part of the query that calls it.';

create or replace function ledger.audit_listed(
    server_name text,
    wanted text,
    looked_at bigint
) returns table (
    id bigint,
    "timestamp" timestamp with time zone,
    user_id bigint,
    question text,
    tool_called text,
    tools_used text [],
    tool_params jsonb,
    success boolean,
    result_summary text,
    error_message text,
    duration_ms integer
)
language sql stable parallel safe
as $$
    select
        cast(n.id as bigint),
        n.timestamp,
        cast(n.user_id as bigint),
        cast(n.question as text),
        cast(n.tool_called as text),
        cast(n.tools_used as text []),
        cast(n.tool_params as jsonb),
        n.success,
        cast(n.result_summary as text),
        cast(n.error_message as text),
        cast(n.duration_ms as integer)
    from (
        (
            select
                s.id,
                s.timestamp,
                s.user_id,
                s.question,
                s.tool_called,
                s.tools_used,
                s.tool_params,
                s.success,
                s.result_summary,
                s.error_message,
                s.duration_ms
            from (
                select a.*
                from omni2.audit_logs as a
                where
                    wanted in ('all', 'success')
                    and a.mcp_target = server_name
                    and ledger.is_dated(a.timestamp)
                order by a.timestamp desc
                limit 100000
            ) as s
            where wanted = 'all' or s.success
            order by s.timestamp desc
            limit looked_at
        )
        union all
        (
            select
                a.id,
                a.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from omni2.audit_logs as a
            where
                wanted = 'error'
                and a.mcp_target = server_name
                and a.success is not true
                and ledger.is_dated(a.timestamp)
            order by a.timestamp desc
            limit looked_at
        )
        union all
        (
            select
                a.id,
                s.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from (
                select
                    l.audit_id,
                    l.timestamp
                from ledger.audit_servers as l
                where
                    wanted in ('all', 'success')
                    and l.server_name = audit_listed.server_name
                    and not l.failed
                    and ledger.is_dated(l.timestamp)
                order by l.timestamp desc
                limit looked_at
            ) as s
            inner join omni2.audit_logs as a
                on s.audit_id = a.id and not (s.timestamp is distinct from a.timestamp)
            order by s.timestamp desc
        )
        union all
        (
            select
                a.id,
                s.timestamp,
                a.user_id,
                a.question,
                a.tool_called,
                a.tools_used,
                a.tool_params,
                a.success,
                a.result_summary,
                a.error_message,
                a.duration_ms
            from (
                select
                    l.audit_id,
                    l.timestamp
                from ledger.audit_servers as l
                where
                    wanted in ('all', 'error')
                    and l.server_name = audit_listed.server_name
                    and l.failed
                    and ledger.is_dated(l.timestamp)
                order by l.timestamp desc
                limit looked_at
            ) as s
            inner join omni2.audit_logs as a
                on s.audit_id = a.id and not (s.timestamp is distinct from a.timestamp)
            order by s.timestamp desc
        )
    ) as n
$$;

comment on function ledger.audit_listed is
'The newest looked_at rows of one server out of each list that may hold some, in no order. wanted is all, success or error; of successes it looks through 100,000 calls at most. It has no settings of its own, so that it becomes part of the query that calls it, which reads no more of each list than it takes, where it takes the newest.';
