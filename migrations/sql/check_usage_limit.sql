create or replace function ledger.check_usage_limit(
    user_id bigint,
    cost_limit numeric default null
) returns ledger.usage_limit
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- the way to a user's day is always the index; planning anew would take longer than the answer
set plan_cache_mode = force_generic_plan
as $$
declare
    zone text;
    counts text;
    default_model text;
    at timestamp with time zone;
    today date;
    starts_at timestamp with time zone;
    ends_at timestamp with time zone;
    found ledger.usage_limit;
begin
    select
        coalesce(max(s.value) filter (where s.name = 'reporting_timezone'), 'UTC'),
        coalesce(max(s.value) filter (where s.name = 'unpriced_tokens'), 'count'),
        coalesce(max(s.value) filter (where s.name = 'default_model'), 'claude-3-5-haiku'),
        coalesce(max(s.value) filter (where s.name = 'as_of')::timestamp with time zone, now())
    into zone, counts, default_model, at
    from ledger.settings as s;
    today := (at at time zone zone)::date;
    starts_at := ledger.day_starts_at(today, zone);
    ends_at := ledger.day_starts_at(today + 1, zone);

    select
        coalesce(sum(a.llm_tokens_used) filter (
            where a.llm_tokens_used between 0 and 1000000000000
        ), 0),
        coalesce(sum(a.cost_usd) filter (where a.cost_usd between 0 and 1000000000000), 0),
        coalesce(sum(a.llm_tokens_used) filter (
            where a.llm_tokens_used between 0 and 1000000000000
            and (a.cost_usd between 0 and 1000000000000) is not true
        ), 0)
    into found.tokens_used, found.cost_used, found.tokens_unpriced
    from omni2.audit_logs as a
    where
        a.user_id = check_usage_limit.user_id
        and a.timestamp >= starts_at
        and a.timestamp < ends_at
        and a.success;

    if found.tokens_unpriced > 0 and counts = 'count' then
        found.cost_used := found.cost_used + coalesce(
            ledger.usage_cost(default_model, starts_at, found.tokens_unpriced, 0), 0
        );
    end if;

    if check_usage_limit.cost_limit <> 'NaN' then
        found.cost_limit := greatest(check_usage_limit.cost_limit, 0);
    else
        begin
            found.cost_limit := ledger.effective_limit(check_usage_limit.user_id);
        exception
            when undefined_table or undefined_column or undefined_function or datatype_mismatch
                or cannot_coerce or invalid_text_representation
            then
                -- the gateway changed its tables and no run has looked since
                execute format(
                    'select min(said.cost_limit) from (%s where u.id = $1) as said (id, cost_limit, basis)',
                    ledger.limits_query()
                ) into found.cost_limit using check_usage_limit.user_id;
        end;
        found.cost_limit := coalesce(found.cost_limit, ledger.default_cost_limit());
    end if;
    found.remaining := greatest(found.cost_limit - found.cost_used, 0);
    found.exceeded := found.cost_used >= found.cost_limit;
    found.allowed := not found.exceeded;
    return found;
end
$$;

comment on function ledger.check_usage_limit(bigint, numeric) is
'Whether a user may go on today (a day of the reporting time zone), what is used and what is left. The limit is the one given, else the one in force (ledger.limits_query). Tokens without a cost are shown, and count at the default model''s price of input where the setting unpriced_tokens says count.';
