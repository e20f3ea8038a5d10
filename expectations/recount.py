"""The same figures a second time, straight from the raw rows of the days to be published.

Totals of a day hide what moved within it, from one user or tool to another: these don't. Of days
that were written to since the build, and of those whose raw rows were removed, nothing is said.
"""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.rules import no_rows
from expectations.scope import Scope, literal

_POSSIBLE = "raw.{0} between 0 and 1000000000000"

_TOKENS = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write")

_USAGE = (
    "requests",
    "tool_calls",
    "tool_calls_reported",
    "requests_cost_recorded",
    *_TOKENS,
    "tokens_total",
    "cost_recorded_usd",
)

_TOOLS = ("calls", "errors", "blocked", "users", "p50_duration_ms", "p95_duration_ms")

# Beyond all ids of users.
_NOBODY = 9_999_999_999

# "offset 0" so that only of what differs the log is asked whether it was written to since.
_USAGE_DIFFERS = """
with periods (from_at, until_at) as (
    {periods}
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
        count(*) filter (
            where
                raw.tool_called is null
                or num_nonnulls(
                    raw.legacy_id, raw.request_type, raw.llm_tokens_used, raw.cost_usd, {tokens}
                ) > 0
        ) as requests,
        count(raw.tool_called) as tool_calls,
        sum(raw.tool_calls_count::bigint) filter (
            where raw.tool_calls_count >= 0
        ) as tool_calls_reported,
        count(*) filter (where {possible_cost}) as requests_cost_recorded,
        {token_sums},
        sum(
            case
                when {possible_total} then raw.llm_tokens_used::numeric
                else {sum_of_split}
            end
        ) as tokens_total,
        sum(raw.cost_usd) filter (where {possible_cost}) as cost_recorded_usd
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    group by 1, 2, 3
)

select
    usage_date, nullif(who, {nobody}) as user_id, source_system,
    figure, in_figures::text, in_ledger::text
from (
    select usage_date, who, source_system, built_xmin, figure, in_figures, in_ledger
    from built
    full join held using (usage_date, who, source_system)
    cross join lateral (values {pairs}) as pairs (figure, in_figures, in_ledger)
    where coalesce(in_figures, 0) <> coalesce(in_ledger, 0)
    offset 0
) as differing
where
    {is_kept}
    and {untouched}
order by 1, 2, 3, 4
"""

# Names are compared as the gateway's own columns compare them, by which the mart groups them too.
_TOOLS_DIFFER = """
with periods (from_at, until_at) as (
    {periods}
),

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
        coalesce(raw.success, raw.status is not null) is false
        or coalesce(lower(btrim(raw.status) collate "C") = 'error', false) as has_failed
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

select
    usage_date, nullif(substr(server, 4), '') as mcp_server, tool,
    figure, in_figures::text, in_ledger::text
from (
    select usage_date, server, tool, built_xmin, figure, in_figures, in_ledger
    from built
    full join held using (usage_date, server, tool)
    cross join lateral (values {pairs}) as pairs (figure, in_figures, in_ledger)
    where in_figures is distinct from in_ledger
    offset 0
) as differing
where
    {is_kept}
    and {untouched}
order by 1, 2, 3, 4
"""

# Only for days without figures a row is looked for, by its time. A clock that was never set says
# 1970; of days before 2000 nothing is said.
_DAYS_LOST = """
select days.day::date as usage_date
from (
    select greatest({first_date}, '2000-01-01'::date) as first_date
    from (select min(raw.timestamp) as first_at from omni2.audit_logs as raw) as log
) as log
cross join generate_series(log.first_date, {today}, interval '1 day') as days (day)
where
    days.day::date not in (select usage_date from batch where usage_date is not null)
    and {is_kept}
    and exists (
        select 1
        from omni2.audit_logs as raw
        where
            raw.timestamp >= {starts_at}
            and raw.timestamp < {ends_at}
            and raw.timestamp < {tomorrow}
            and coalesce(raw.change_xid, 0) < {began}
    )
order by 1
"""


def usage_recounted(scope: Scope) -> Expectation:
    """That each user of a day has the figures that the raw rows give, by source."""
    query = _USAGE_DIFFERS.format(
        **_terms(scope, _USAGE),
        nobody=_NOBODY,
        sums=", ".join(f"sum({name}) as {name}" for name in _USAGE),
        tokens=", ".join(f"raw.{name}" for name in _TOKENS),
        token_sums=", ".join(
            f"sum(raw.{name}) filter (where {_POSSIBLE.format(name)}) as {name}" for name in _TOKENS
        ),
        sum_of_split=" + ".join(
            f"case when {_POSSIBLE.format(name)} then raw.{name}::numeric else 0 end"
            for name in _TOKENS
        ),
        possible_cost=_POSSIBLE.format("cost_usd"),
        possible_total=_POSSIBLE.format("llm_tokens_used"),
    )
    return no_rows("Each day, user and source has the figures that the ledger has", query)


def tools_recounted(scope: Scope) -> Expectation:
    """That each tool of a day has the figures that the raw rows give."""
    query = _TOOLS_DIFFER.format(**_terms(scope, _TOOLS), figures=", ".join(_TOOLS))
    return no_rows("Each day, server and tool has the figures that the ledger has", query)


def no_day_lost(scope: Scope) -> list[Expectation]:
    """That each day with a row from before the run is there, where it is known when that began."""
    if scope.began is None:
        return []
    query = _DAYS_LOST.format(
        first_date=scope.date_of("log.first_at"),
        today=literal(scope.today) + "::date",
        tomorrow=scope.starts_at(f"{literal(scope.today)}::date + 1"),
        starts_at=scope.starts_at("days.day::date"),
        ends_at=scope.starts_at("days.day::date + 1"),
        is_kept=scope.is_kept("days.day::date"),
        began=scope.began.xmin,
    )
    return [no_rows("No day of the ledger is missing", query, column="usage_date")]


def _terms(scope: Scope, figures: tuple[str, ...]) -> dict[str, str]:
    """What both rules say alike; where a row is missing, the newest build of its mart counts."""
    newest = "(select coalesce(max(newest.built_xmin), 0) from batch as newest)"
    return {
        "periods": scope.range_rows(),
        "days": literal(list(scope.days)) + "::date[]",
        "date_of_row": scope.date_of("raw.timestamp"),
        "pairs": ", ".join(
            f"('{name}', built.{name}::numeric, held.{name}::numeric)" for name in figures
        ),
        "is_kept": scope.is_kept("usage_date"),
        "untouched": scope.untouched("usage_date", f"coalesce(differing.built_xmin, {newest})"),
    }
