"""The same figures a second time, straight from the raw rows of the days to be published.

Totals of a day hide what moved within it, from one user or tool to another: these don't. Of days
that were written to since the build, and of those whose raw rows were removed, nothing is said.
"""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.rules import NOBODY, no_rows
from expectations.scope import Scope, literal

HAS_FAILED = """coalesce(raw.success, raw.status is not null) is false
        or coalesce(lower(btrim(raw.status) collate "C") = 'error', false)"""
"""The SQL that the raw row of a call says that it failed."""

POSSIBLE = "raw.{0} between 0 and 1000000000000"
"""The SQL that a number of a raw row can be meant; of another the figures know nothing."""

TOKENS = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write")

_IS_REQUEST = """
raw.tool_called is null
or num_nonnulls(
    raw.legacy_id, raw.request_type, raw.llm_tokens_used, raw.cost_usd, {tokens}
) > 0
"""

_TOTAL = "case when {possible} then raw.llm_tokens_used::numeric else {sum_of_split} end"

_OF_USAGE = (
    "requests",
    "tool_calls",
    "tool_calls_reported",
    "requests_cost_recorded",
    "requests_model_assumed",
    *TOKENS,
    "tokens_total",
    "cost_recorded_usd",
)

_OF_SERVERS = ("requests", "requests_shared", "calls", "tokens_total", "cost_recorded_usd")

_OF_TOOLS = ("calls", "errors", "blocked", "users", "p50_duration_ms", "p95_duration_ms")

# "offset 0" so that only of what differs the log is asked whether it was written to since.
_DIFFERS = """
with periods (from_at, until_at) as (
    {periods}
),

{sides}

select
    {shown}, figure, in_figures::text, in_ledger::text
from (
    select {key}, built_xmin, figure, in_figures, in_ledger
    from built
    full join held using ({key})
    cross join lateral (values {pairs}) as pairs (figure, in_figures, in_ledger)
    where {differ}
    offset 0
) as differing
where
    {is_kept}
    and {untouched}
order by 1, 2, 3, 4
"""

# Where no model was stated yet, when the mart was built, a row without one is of the default model.
_USAGE = """
stated as (
    select coalesce(min(valid_from), 'infinity') as first_at
    from analytics_build.build_inputs
    where mart = 'fct_daily_usage' and input_name = 'model_history'
),

built as (
    select
        usage_date,
        coalesce(user_id::bigint, {nobody}) as who,
        source_system,
        min(built_xmin) as built_xmin,
        {sums}
    from batch
    where usage_date = any({days})
    group by 1, 2, 3
),

held as (
    select
        {date_of_row} as usage_date,
        case
            when raw.user_id between -2147483648 and 2147483647 then raw.user_id::bigint
            else {nobody}
        end as who,
        raw.source_system::text as source_system,
        count(*) filter (where {is_request}) as requests,
        count(raw.tool_called) as tool_calls,
        sum(raw.tool_calls_count::bigint) filter (
            where raw.tool_calls_count >= 0
        ) as tool_calls_reported,
        count(*) filter (where {possible_cost}) as requests_cost_recorded,
        count(*) filter (
            where nullif(btrim(raw.llm_model::text), '') is null
            and raw.timestamp < stated.first_at
            and ({is_request})
        ) as requests_model_assumed,
        {token_sums},
        sum({total}) as tokens_total,
        sum(raw.cost_usd) filter (where {possible_cost}) as cost_recorded_usd
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join stated
    group by 1, 2, 3
)
"""

# Requests that called alike are dealt out together, for they are few beside the requests.
_SERVERS = """
built as (
    select
        usage_date,
        case when is_no_server then '' else 'of ' || mcp_server end as server,
        min(built_xmin) as built_xmin,
        {sums}
    from batch
    where usage_date = any({days})
    group by 1, 2
),

alike as (
    select
        {date_of_row} as usage_date,
        raw.mcp_target::text as target,
        to_jsonb(raw.mcps_accessed) as named,
        to_jsonb(raw.tools_used) as tools,
        count(*) as requests,
        sum({total}) as tokens_total,
        sum(raw.cost_usd) filter (where {possible_cost}) as cost_recorded_usd
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    where {is_request}
    group by 1, 2, 3, 4
),

dealt_out as (
    select
        alike.*,
        coalesce('of ' || called.server, '') as server,
        coalesce(called.calls, 0) as calls,
        coalesce(called.calls < called.whole, false) as is_shared,
        coalesce(called.calls, 1) as part,
        coalesce(called.whole, 1) as whole
    from alike
    left join lateral (
        select
            server,
            greatest(sum(times_named), sum(1 - times_named)) as calls,
            sum(greatest(sum(times_named), sum(1 - times_named))) over () as whole
        from (
            select named.server, 1
            from jsonb_array_elements_text(alike.named) as named (server)
            union all
            select alike.target, 1
            where (alike.named @> to_jsonb(alike.target)) is not true
            union all
            select split_part(tools.tool, '.', 1), 0
            from jsonb_array_elements_text(alike.tools) as tools (tool)
        ) as mentions (server, times_named)
        where btrim(server) <> ''
        group by server
        having sum(times_named) > 0
    ) as called on true
),

held as (
    select
        usage_date,
        server,
        sum(requests) as requests,
        sum(requests) filter (where is_shared) as requests_shared,
        sum(requests * calls) as calls,
        sum(tokens_total * part / whole) as tokens_total,
        sum(cost_recorded_usd * part / whole) as cost_recorded_usd
    from dealt_out
    group by usage_date, server
)
"""

# Each part of a shared request may be cut, by less than a token or the twelfth decimal.
_MORE_THAN_CUT = """
abs(coalesce(in_figures, 0) - coalesce(in_ledger, 0)) > coalesce(held.requests_shared, 0)
* case figure when 'tokens_total' then 1 when 'cost_recorded_usd' then 1e-12 else 0 end
"""

# Names are compared as the gateway's own columns compare them, by which the mart groups them too.
_TOOLS = """
built as (
    select
        coalesce('of ' || mcp_server, '') as server,
        tool, usage_date, built_xmin, {figures}
    from batch
    where usage_date = any({days})
),

called as (
    select
        {date_of_row} as usage_date,
        coalesce('of ' || raw.mcp_target::text, '') as server,
        raw.tool_called::text as tool,
        case when raw.user_id between -2147483648 and 2147483647 then raw.user_id end as user_id,
        case when raw.duration_ms >= 0 then raw.duration_ms::numeric end as duration_ms,
        coalesce(raw.was_blocked, false) as is_blocked,
        {has_failed} as has_failed
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    where raw.tool_called is not null
),

held as (
    select
        usage_date, server, tool,
        count(*) as calls,
        count(*) filter (where has_failed and not is_blocked) as errors,
        count(*) filter (where is_blocked) as blocked,
        count(distinct user_id) as users,
        percentile_cont(0.5) within group (order by duration_ms)::numeric as p50_duration_ms,
        percentile_cont(0.95) within group (order by duration_ms)::numeric as p95_duration_ms
    from called
    group by usage_date, server, tool
)
"""


def usage_recounted(scope: Scope) -> Expectation:
    """That each user of a day has the figures that the raw rows give, by source."""
    return recounted(
        "Each day, user and source has the figures that the ledger has",
        scope,
        _USAGE,
        _OF_USAGE,
        key="usage_date, who, source_system",
        shown=f"usage_date, nullif(who, {NOBODY}) as user_id, source_system",
        nobody=NOBODY,
        token_sums=", ".join(
            f"sum(raw.{name}) filter (where {POSSIBLE.format(name)}) as {name}" for name in TOKENS
        ),
    )


def servers_recounted(scope: Scope) -> Expectation:
    """That each MCP server of a day has its share of what the raw rows say, by calls."""
    return recounted(
        "Each day and server has its share of what the ledger has",
        scope,
        _SERVERS,
        _OF_SERVERS,
        key="usage_date, server",
        shown="usage_date, nullif(substr(server, 4), '') as mcp_server",
        differ=_MORE_THAN_CUT,
    )


def tools_recounted(scope: Scope) -> Expectation:
    """That each tool of a day has the figures that the raw rows give."""
    return recounted(
        "Each day, server and tool has the figures that the ledger has",
        scope,
        _TOOLS,
        _OF_TOOLS,
        key="usage_date, server, tool",
        shown="usage_date, nullif(substr(server, 4), '') as mcp_server, tool",
        differ="in_figures is distinct from in_ledger",
        has_failed=HAS_FAILED,
    )


def recounted(
    sentence: str,
    scope: Scope,
    sides: str,
    figures: tuple[str, ...],
    *,
    key: str,
    shown: str,
    differ: str = "coalesce(in_figures, 0) <> coalesce(in_ledger, 0)",
    **terms: object,
) -> Expectation:
    """That nothing differs; where a row is missing, the newest build of its mart counts.

    Args:
        sentence: what is expected.
        sides: the SQL of the CTEs `built`, with its `built_xmin`, and `held`.
        figures: what both have beside the columns of `key`.
        differ: when the two sides of a figure differ; where one is missing it is zero.
        terms: the further places of `sides`.
    """
    newest = "(select coalesce(max(newest.built_xmin), 0) from batch as newest)"
    query = _DIFFERS.format(
        periods=scope.range_rows(),
        sides=sides.format(
            figures=", ".join(figures),
            sums=", ".join(f"sum({name}) as {name}" for name in figures),
            days=literal(list(scope.days)) + "::date[]",
            date_of_row=scope.date_of("raw.timestamp"),
            is_request=_IS_REQUEST.format(tokens=", ".join(f"raw.{name}" for name in TOKENS)),
            possible_cost=POSSIBLE.format("cost_usd"),
            total=_TOTAL.format(
                possible=POSSIBLE.format("llm_tokens_used"),
                sum_of_split=" + ".join(
                    f"case when {POSSIBLE.format(name)} then raw.{name}::numeric else 0 end"
                    for name in TOKENS
                ),
            ),
            **terms,
        ),
        pairs=", ".join(
            f"('{name}', built.{name}::numeric, held.{name}::numeric)" for name in figures
        ),
        key=key,
        shown=shown,
        differ=differ,
        is_kept=scope.is_kept("usage_date"),
        untouched=scope.untouched("usage_date", f"coalesce(differing.built_xmin, {newest})"),
    )
    return no_rows(sentence, query)
