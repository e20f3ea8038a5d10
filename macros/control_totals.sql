{#
    The same sums as fct_daily_usage has, a second time and another way: straight from the raw
    rows, without views or joins, so that a join that doubles or loses a row can't hide.
#}
{% macro keep_control_totals(audit_logs) -%}
    {%- set control = build_table('control_totals') -%}
    {%- set prunings = ref('stg_prunings') -%}

    delete from {{ control }}
    {% if is_incremental() -%}
    where usage_date in (select changed_date from pg_temp.changed_days)
    {%- else -%}
    where not ({{ is_pruned('usage_date', prunings) }})
    {%- endif -%};

    insert into {{ control }}
    select
        usage_date,
        count(*) filter (where is_request) as requests,
        count(*) filter (where is_request and has_failed and not is_blocked) as errors,
        count(*) filter (where is_request and is_blocked) as blocked,
        count(tool_called) as tool_calls,
        cast(sum(tokens_input) filter (where tokens_input between 0 and 1000000000000) as bigint),
        cast(sum(tokens_output) filter (where tokens_output between 0 and 1000000000000) as bigint),
        cast(sum(tokens_cached) filter (where tokens_cached between 0 and 1000000000000) as bigint),
        cast(
            sum(tokens_cache_write) filter (where tokens_cache_write between 0 and 1000000000000)
            as bigint
        ),
        cast(
            sum(
                case
                    when llm_tokens_used between 0 and 1000000000000 then llm_tokens_used
                    else sum_of_split
                end
            ) as bigint
        ),
        sum(cost_usd) filter (where cost_usd between 0 and 1000000000000),
        cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint)
    from (
        select
            raw.*,
            {{ reporting_date('raw."timestamp"') }} as usage_date,
            raw.tool_called is null
            or raw.legacy_id is not null
            or raw.request_type is not null
            or raw.tokens_input is not null
            or raw.tokens_output is not null
            or raw.tokens_cached is not null
            or raw.tokens_cache_write is not null
            or raw.llm_tokens_used is not null
            or raw.cost_usd is not null as is_request,
            coalesce(raw.success, raw.status is not null) is false
            or coalesce(lower(btrim(raw.status) collate "C") = 'error', false) as has_failed,
            coalesce(raw.was_blocked, false) as is_blocked,
            (
                select sum(kind)
                from (
                    values
                    (cast(raw.tokens_input as bigint)),
                    (cast(raw.tokens_output as bigint)),
                    (cast(raw.tokens_cached as bigint)),
                    (cast(raw.tokens_cache_write as bigint))
                ) as kinds (kind)
                where kind between 0 and 1000000000000
            ) as sum_of_split
        from {% if is_incremental() -%}
        pg_temp.changed_days
        cross join lateral (
            select *
            from {{ audit_logs }}
            where "timestamp" >= changed_days.search_from and "timestamp" < changed_days.search_to
            offset 0
        ) as raw
        where {{ reporting_date('raw."timestamp"') }} = changed_days.changed_date
        {%- else -%}
        {{ audit_logs }} as raw
        {%- endif %}
    ) as dated
    where usage_date is not null and not ({{ is_pruned('usage_date', prunings) }})
    group by usage_date;

    -- of pruned days there are no raw rows to sum: what was published was judged by them
    insert into {{ control }}
    select
        usage_date,
        sum(requests),
        sum(errors),
        sum(blocked),
        sum(tool_calls),
        sum(tokens_input),
        sum(tokens_output),
        sum(tokens_cached),
        sum(tokens_cache_write),
        sum(tokens_total),
        sum(cost_recorded_usd),
        max(built_xmin)
    from {{ this }}
    where
        {{ is_pruned('usage_date', prunings) }}
        and usage_date not in (select usage_date from {{ control }})
    group by usage_date;
{%- endmacro %}
