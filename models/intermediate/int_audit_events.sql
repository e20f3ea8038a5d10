with

audit_logs as (

    select * from {{ ref('stg_audit_logs') }}

),

model_history as (

    select * from {{ ref('int_model_history') }}

),

model_names as (

    select * from {{ ref('int_model_names') }}

),

dated as (

    select
        *,
        {{ reporting_date('event_at') }} as event_date,
        nullif(btrim(llm_model), '') as recorded_model,
        lower(btrim(request_status) collate "C") as status_word

    from audit_logs

),

judged as (

    select
        *,
        tool_called is not null as is_tool_call,
        tool_called is null
        or legacy_id is not null
        or request_type is not null
        or cost_usd is not null
        or num_nonnulls(
            tokens_input, tokens_output, tokens_cached, tokens_cache_write, tokens_total
        ) > 0 as is_request,
        coalesce(was_blocked, false) as is_blocked,
        coalesce(status_word = 'error', false)
        or coalesce(is_success, status_word is not null) is false as has_failed,
        {{ possible_tokens('tokens_input') }} as possible_input,
        {{ possible_tokens('tokens_output') }} as possible_output,
        {{ possible_tokens('tokens_cached') }} as possible_cached,
        {{ possible_tokens('tokens_cache_write') }} as possible_cache_write,
        {{ possible_tokens('tokens_total') }} as possible_total,
        {{ possible_cost('cost_usd') }} as possible_cost_usd

    from dated
    where event_date is not null

),

counted as (

    select
        *,
        num_nonnulls(tokens_input, tokens_output, tokens_cached, tokens_cache_write)
        > num_nonnulls(possible_input, possible_output, possible_cached, possible_cache_write)
            as is_split_impossible,
        case
            when possible_total is not null then possible_total
            when
                num_nonnulls(
                    possible_input, possible_output, possible_cached, possible_cache_write
                ) > 0
                then
                    coalesce(possible_input, 0)
                    + coalesce(possible_output, 0)
                    + coalesce(possible_cached, 0)
                    + coalesce(possible_cache_write, 0)
        end as total_or_sum

    from judged

),

named as (

    select
        counted.*,
        coalesce(
            counted.recorded_model,
            model_history.llm_model,
            {{ setting_literal('default_model') }}
        ) as model_name,
        counted.recorded_model is null and model_history.llm_model is null as is_model_assumed

    from counted
    left join model_history
        on
            counted.event_at >= model_history.valid_from
            and counted.event_at < model_history.valid_to

),

meant as (

    select
        named.*,
        coalesce(
            model_names.llm_model, ledger.canonical_model(named.model_name), named.model_name
        ) as meant_model

    from named
    left join model_names
        on named.model_name = model_names.model_name

),

final as (

    select
        audit_log_id,
        user_id,
        source_system,
        event_at,
        event_date,
        change_xid,

        mcp_target,
        tool_called,
        tools_used,
        mcps_accessed,
        is_request,
        is_tool_call,
        is_blocked,
        has_failed and not is_blocked as is_error,
        coalesce(is_success, false) as is_success,
        is_split_impossible
        or num_nonnulls(tokens_total) > num_nonnulls(possible_total)
        or num_nonnulls(cost_usd) > num_nonnulls(possible_cost_usd)
            as is_impossible,
        case when duration_ms >= 0 then duration_ms end as duration_ms,

        meant_model as llm_model,
        model_name,
        is_model_assumed,

        possible_input as tokens_input,
        possible_output as tokens_output,
        possible_cached as tokens_cached,
        possible_cache_write as tokens_cache_write,
        possible_total as tokens_total_reported,
        total_or_sum as tokens_total,
        is_split_impossible,
        case when tool_calls_count >= 0 then tool_calls_count end as tool_calls_count,
        possible_cost_usd as cost_recorded_usd

    from meant

)

select * from final
