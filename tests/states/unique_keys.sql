-- Unique keys of the old table beside its id: of columns that the gateway writes too, of one that it
-- doesn't know, with a condition; and indexes over expressions and with one.

alter table public.audit_logs
add request_uid text,
add constraint one_of_each_uid unique (request_uid),
add constraint one_message_at_a_time unique (user_id, created_at);

create unique index one_of_each_slack_message on public.audit_logs (slack_channel, slack_message_ts)
include (status);
create unique index one_preview on public.audit_logs (message_preview)
where status = 'success' or message_preview = 'twice';
create index lower_uids on public.audit_logs (lower(request_uid) desc nulls last) where success;

insert into auth_service.users (id, username, name, email) values (1, 'ada', 'Ada', 'ada@example.com');
insert into public.users (id, email, name) values (7, 'ada@example.com', 'Ada');

-- What the gateway logs of the same messages has no such key.
insert into omni2.audit_logs
(id, user_id, timestamp, question, success, slack_channel, slack_message_ts) values
(1, 1, '2026-02-10 10:00:01+00', 'both logged this', true, 'C1', '1.1'),
(2, 1, '2026-02-10 10:00:02+00', 'a tool call', true, 'C1', '1.1'),
(3, 1, '2026-02-10 10:00:02+00', 'a tool call', true, 'C1', '1.1');

insert into public.audit_logs
(id, user_id, message, created_at, slack_channel, slack_message_ts, request_uid, message_preview,
    status, success) values
(1, 7, 'both logged this', '2026-02-10 10:00:00+00', 'C1', '1.1', 'a', 'p', 'success', true),
(2, 7, 'only here', '2026-02-10 10:05:00+00', 'C1', '1.2', 'b', 'p', 'error', true),
(3, null, 'neither key nor user', '2026-02-10 10:05:00+00', 'C1', null, null, null, null, null),
(4, null, 'neither key nor user', '2026-02-10 10:05:00+00', 'C1', null, null, null, null, null);

select setval('public.audit_logs_id_seq', 4);

select setval('omni2.audit_logs_id_seq', 3);
