create or replace function ledger.fill_in_audit_log() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    split_total numeric;
    priced numeric;
    complaint text;
begin
    if tg_op = 'INSERT' then
        if new.legacy_id is not null and new.source_system = 'gateway' then
            new.source_system := 'chat';
        end if;
    end if;

    if tg_op = 'INSERT' and new.user_id is null and new.legacy_user_id is not null
        or tg_op = 'UPDATE' and new.source_system <> 'gateway'
        and new.legacy_user_id <> coalesce(old.legacy_user_id, -1)
    then
        -- Whom the map knows needs no search. The users are the gateway's to change: whatever
        -- became of their table, the row is kept, and its person found later.
        new.user_id := (
            select m.user_id from ledger.user_map as m where m.legacy_user_id = new.legacy_user_id
        );
        if new.user_id is null then
            begin
                new.user_id := ledger.resolve_user(new.legacy_user_id);
            exception when others then
                raise warning 'the person of old user % was not found: %',
                    new.legacy_user_id, sqlerrm;
            end;
        end if;
    end if;

    if new.legacy_id is not null then
        complaint := ledger.audit_complaint(new.timestamp, new.cost_usd);
        if complaint is not null then
            begin
                insert into ledger.audit_quarantine (legacy_id, reason, row)
                values (new.legacy_id, complaint, ledger.audit_as_json(new))
                on conflict (legacy_id) do update
                    set reason = excluded.reason, row = excluded.row, quarantined_at = now();
            exception when program_limit_exceeded then
                raise warning 'old row % is too large to be set aside: %', new.legacy_id, sqlerrm;
            end;
            if scale(new.cost_usd) is null then
                new.cost_usd := null;
            end if;
        end if;
    end if;

    if least(new.tokens_input, new.tokens_output, new.tokens_cached, new.tokens_cache_write) >= 0
        and coalesce(new.tokens_input, new.tokens_output) is not null
    then
        split_total := coalesce(new.tokens_input, 0)::numeric + coalesce(new.tokens_output, 0)
            + coalesce(new.tokens_cached, 0) + coalesce(new.tokens_cache_write, 0);
        if split_total <= 2147483647 and (
            new.llm_tokens_used is null
            or tg_op = 'UPDATE' and new.llm_tokens_used = old.llm_tokens_used and old.llm_tokens_used
            = coalesce(old.tokens_input, 0)::numeric + coalesce(old.tokens_output, 0)
            + coalesce(old.tokens_cached, 0) + coalesce(old.tokens_cache_write, 0)
        ) then
            new.llm_tokens_used := split_total;
        end if;
        if tg_op = 'INSERT' and new.cost_usd is null and complaint is null then
            begin
                priced := ledger.usage_cost(
                    new.llm_model, new.timestamp, new.tokens_input, new.tokens_output,
                    new.tokens_cached, new.tokens_cache_write
                );
            exception when others then
                raise warning 'no price was found for a row: %', sqlerrm;
            end;
            if priced < {largest_cost} then
                new.cost_usd := priced;
            end if;
        end if;
    end if;
    return new;
end
$$;

comment on function ledger.fill_in_audit_log is
'Fills in what a writer left out and the ledger can know: the system that wrote, the person, the total of a split, its cost. It never refuses a row.';
