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

IS_REQUEST = """(
    raw.tool_called is null
    or num_nonnulls(
        raw.legacy_id, raw.request_type, raw.llm_tokens_used, raw.cost_usd,
        raw.tokens_input, raw.tokens_output, raw.tokens_cached, raw.tokens_cache_write
    ) > 0
)"""
"""The SQL that a raw row is a request, and not only the log of a tool call."""

TOTAL = "case when {} then raw.llm_tokens_used::bigint else {} end".format(
    POSSIBLE.format("llm_tokens_used"),
    " + ".join(
        f"case when {POSSIBLE.format(name)} then raw.{name}::bigint else 0 end" for name in TOKENS
    ),
)
"""The SQL of all tokens of a raw row."""

USER = f"""case
    when raw.user_id between -2147483648 and 2147483647 then raw.user_id::bigint
    else {NOBODY}
end"""
"""The SQL of the user of a raw row, by whom rows can be joined."""

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
    where ({built}) is distinct from ({held}) and {differ}
    offset 0
) as differing
where
    {is_kept}
    and {untouched}
order by 1, 2, 3, 4
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
            **terms,
        ),
        built=", ".join(f"built.{name}" for name in figures),
        held=", ".join(f"held.{name}" for name in figures),
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
