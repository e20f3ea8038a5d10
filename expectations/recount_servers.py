"""What requests cost by MCP server a second time: each server's share of the raw rows."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.recount import IS_REQUEST, recounted
from expectations.recount_prices import ALIKE, INPUTS, NAMED, ROWS_ALIKE, SUMS_ALIKE, WORTH
from expectations.scope import Scope

_FIGURES = (
    "requests",
    "requests_shared",
    "requests_cost_unknown",
    "calls",
    "tokens_total",
    "tokens_cost_unknown",
    "cost_recorded_usd",
    "cost_recomputed_usd",
    "cost_usd",
)

# Requests that called alike are dealt out together, for they are few beside the requests.
_SERVERS = f"""
{INPUTS},

built as (
    select
        usage_date,
        case when is_no_server then '' else 'of ' || mcp_server end as server,
        llm_model, cardinality(model_names) as names,
        built_xmin, {", ".join(_FIGURES)}
    from batch
    where usage_date = any({{days}})
),

names as (
    select
        batch.usage_date,
        case when batch.is_no_server then '' else 'of ' || batch.mcp_server end as server,
        batch.llm_model, names.name
    from batch
    cross join lateral unnest(batch.model_names) as names (name)
    where batch.usage_date = any({{days}})
),

alike as (
    select
        {{date_of_row}} as usage_date,
        raw.mcp_target::text as target,
        to_jsonb(raw.mcps_accessed) as named,
        to_jsonb(raw.tools_used) as tools,
        {ROWS_ALIKE},
        {SUMS_ALIKE}
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join stretches
    where {IS_REQUEST}
    group by usage_date, target, named, tools, {", ".join(ALIKE)}
),

of_models as (
    {NAMED}
),

dealt_out as (
    select
        of_models.*,
        coalesce('of ' || called.server, '') as server,
        coalesce(called.calls, 0) as calls,
        coalesce(called.calls < called.whole, false) as is_shared,
        coalesce(called.calls, 1) as part,
        coalesce(called.whole, 1) as whole
    from of_models
    left join lateral (
        select
            server,
            greatest(sum(times_named), sum(1 - times_named)) as calls,
            sum(greatest(sum(times_named), sum(1 - times_named))) over () as whole
        from (
            select named.server, 1
            from jsonb_array_elements_text(of_models.named) as named (server)
            union all
            select of_models.target, 1
            where (of_models.named @> to_jsonb(of_models.target)) is not true
            union all
            select split_part(tools.tool, '.', 1), 0
            from jsonb_array_elements_text(of_models.tools) as tools (tool)
        ) as mentions (server, times_named)
        where btrim(server) <> ''
        group by server
        having sum(times_named) > 0
    ) as called on true
),

meant as (
    select dealt_out.*, coalesce(names.llm_model, dealt_out.name) as llm_model
    from dealt_out
    left join names using (usage_date, server, name)
),

worth as (
    {WORTH}
),

held as (
    select
        usage_date, server, llm_model,
        count(distinct name) as names,
        sum(rows) as requests,
        coalesce(sum(rows) filter (where is_shared), 0) as requests_shared,
        coalesce(sum(rows) filter (where basis = 'unknown'), 0) as requests_cost_unknown,
        sum(rows * calls) as calls,
        sum(tokens_total * part / whole) as tokens_total,
        sum(tokens_total * part / whole) filter (where basis = 'unknown') as tokens_cost_unknown,
        sum(recorded_usd * part / whole) as cost_recorded_usd,
        sum(recomputed_usd * part / whole) as cost_recomputed_usd,
        sum(known_usd * part / whole) as cost_usd
    from worth
    group by usage_date, server, llm_model
)
"""  # noqa: S608 (no value of anybody's in it)

# Each part of a shared request may be cut, by less than a token or the twelfth decimal.
_MORE_THAN_CUT = """
abs(coalesce(in_figures, 0) - coalesce(in_ledger, 0)) > coalesce(held.requests_shared, 0)
* case when figure like 'tokens%' then 1 when figure like 'cost%' then 1e-12 else 0 end
"""


def servers_recounted(scope: Scope) -> Expectation:
    """That each MCP server of a day has its share of what the raw rows say, by calls."""
    return recounted(
        "Each day, server and model has its share of what the ledger has",
        scope,
        _SERVERS,
        (*_FIGURES, "names"),
        key="usage_date, server, llm_model",
        shown="usage_date, nullif(substr(server, 4), '') as mcp_server, llm_model",
        differ=_MORE_THAN_CUT,
        mart="fct_daily_mcp_cost",
    )
