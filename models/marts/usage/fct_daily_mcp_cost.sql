{{
    config(
        incremental_strategy='changed_days',
        unique_key='usage_date',
        indexes=[{'columns': ['usage_date', 'built_at', 'built_xmin']}],
        pre_hook="{{ find_changed_usage(days_of_other_models()) }}",
        post_hook=[
            "{{ keep_pruned_days() }}",
            "{{ remember_usage_inputs() }}",
        ],
    )
}}

with

events as (

    {{ changed_events(ref('int_audit_events_priced')) }}

),

requests as (

    select
        row_number() over () as request_number,
        event_date as usage_date,
        llm_model,
        model_name,
        mcp_target,
        tools_used,
        mcps_accessed,
        cost_basis,
        tokens_total,
        cost_recorded_usd,
        cost_recomputed_usd,
        cost_usd

    from events
    where is_request

),

mentions as (

    select
        requests.request_number,
        servers.mcp_server,
        true as is_called

    from requests
    cross join lateral jsonb_array_elements_text(requests.mcps_accessed) as servers (mcp_server)

    union all

    select
        request_number,
        mcp_target as mcp_server,
        true as is_called

    from requests
    where (mcps_accessed @> to_jsonb(mcp_target)) is not true

    union all

    select
        requests.request_number,
        split_part(tools.tool, '.', 1) as mcp_server,
        false as is_called

    from requests
    cross join lateral jsonb_array_elements_text(requests.tools_used) as tools (tool)

),

-- a server is called as often as tools of it are named, or as it is itself
called as (

    select
        request_number,
        mcp_server,
        greatest(
            count(*) filter (where is_called),
            count(*) filter (where not is_called)
        ) as calls

    from mentions
    where btrim(mcp_server) <> ''
    group by 1, 2
    having bool_or(is_called)

),

weighed as (

    select
        *,
        sum(calls) over one_request as whole,
        -- in the order of bytes, which is the same in every database
        sum(calls) over (
            one_request order by mcp_server collate "C"  -- noqa: RF03
        ) as up_to_here

    from called
    window one_request as (partition by request_number)

),

placed as (

    select
        requests.*,
        weighed.mcp_server,
        coalesce(weighed.calls, 0) as calls,
        coalesce(weighed.whole > weighed.calls, false) as is_shared,
        coalesce(weighed.whole, 1) as whole,
        coalesce(weighed.up_to_here, 1) as up_to_here,
        coalesce(weighed.up_to_here - weighed.calls, 0) as before_here

    from requests
    left join weighed on requests.request_number = weighed.request_number

),

dealt_out as (

    select
        *,
        {{ share_of_part('tokens_total', decimals=0) }} as tokens,
        {{ share_of_part('cost_recorded_usd') }} as recorded_usd,
        {{ share_of_part('cost_recomputed_usd') }} as recomputed_usd,
        {{ share_of_part('cost_usd') }} as known_usd

    from placed

),

daily as (

    select
        usage_date,
        coalesce(mcp_server, 'no server') as mcp_server,
        mcp_server is null as is_no_server,
        llm_model,
        array_agg(distinct model_name) as model_names,

        count(*) as requests,
        count(*) filter (where is_shared) as requests_shared,
        count(*) filter (where cost_basis = 'unknown') as requests_cost_unknown,
        cast(sum(calls) as bigint) as calls,

        cast(sum(tokens) as bigint) as tokens_total,
        cast(sum(tokens) filter (where cost_basis = 'unknown') as bigint) as tokens_cost_unknown,
        trim_scale(sum(recorded_usd)) as cost_recorded_usd,
        trim_scale(sum(recomputed_usd)) as cost_recomputed_usd,
        trim_scale(sum(known_usd)) as cost_usd

    from dealt_out
    group by 1, 2, 3, 4

),

final as (

    select
        {{ row_key(['usage_date', 'is_no_server', 'mcp_server', 'llm_model']) }} as mcp_cost_key,
        daily.*,
        {{ build_stamp() }}

    from daily

)

select * from final
