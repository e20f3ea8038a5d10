-- JSON that jsonb can't hold, in rows that the ledger can't hold either and in one that it can, and
-- values that JSON doesn't keep to the letter.

alter table public.audit_logs
add plain json,
add tool_params json,
add several json[],
add words text[];

insert into public.audit_logs
(id, message, cost_estimate, created_at, plain, tool_params, several, words) values
(1, 'no character', 1, null, '{"a":"\u0000"}', null, null, null),
(2, 'half a character', 'NaN', '2026-02-10 10:00+00', '{"a":"\ud800"}', null, null, null),
(3, 'no number', 1, null, null, '{"a":1e999999}', null, null),
(4, 'one of several', 1, null, null, null, array['{}', '{"a":"\u0000"}']::json[], null),
(5, 'not to the letter', 1, null, '{"a":  1, "a":2}', null, null, '[3:4]={x,NULL}'),
(6, 'all is well', 1, '2026-02-10 10:00+00', '{"a":"\u0000"}', null, null, '[3:4]={x,NULL}');

select setval('public.audit_logs_id_seq', 6);
