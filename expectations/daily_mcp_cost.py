"""What must be true of `fct_daily_mcp_cost`: what requests cost, split over the servers called."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount_servers import servers_recounted
from expectations.rules import Judged, never_null, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date

_KEY = ("mcp_cost_key", "usage_date", "mcp_server", "llm_model")

_SUMMED = (
    "tokens_total",
    "tokens_cost_unknown",
    "cost_recorded_usd",
    "cost_recomputed_usd",
    "cost_usd",
)
"""What is split, so that its sum over all servers is the daily usage's."""

_COUNTS = ("requests", "requests_shared", "requests_cost_unknown", "calls")

_DOUBLED = """
select usage_date, is_no_server, mcp_server, llm_model, count(*) as rows,
    min(mcp_cost_key) as mcp_cost_key
from batch
group by usage_date, is_no_server, mcp_server, llm_model
having count(*) > 1
"""

# NaN sorts above every number, so this finds it too, as it finds infinity.
_IMPOSSIBLE = """
select mcp_cost_key, usage_date, mcp_server, llm_model, figure, value::text
from batch
cross join lateral (values {figures}) as figures (figure, value)
where not (value >= 0 and value < 1e30)
"""

_COUNTS_APART = """
select
    mcp_cost_key, usage_date, mcp_server, llm_model, requests, requests_shared,
    requests_cost_unknown, calls, cost_recorded_usd::text, cost_usd::text
from batch
where
    requests = 0
    or greatest(requests_shared, requests_cost_unknown) > requests
    or (is_no_server and (calls > 0 or requests_shared > 0 or mcp_server <> 'no server'))
    or (not is_no_server and calls < requests)
    or (requests_cost_unknown = 0 and tokens_cost_unknown > 0)
    or (requests_cost_unknown < requests and cost_usd is null)
    or coalesce(cost_recorded_usd, 0) > coalesce(cost_usd, 0)
"""

# Of days that were written to meanwhile nothing is said. A request counts at each of its servers,
# so those of a day and model lie between the ones that called one server at most and all of them.
_SUMS_DIFFER = """
with split as (
    select
        usage_date, llm_model, {sums}, min(built_xmin) as built_xmin,
        sum(requests - requests_shared) as requests_of_one, sum(requests) as requests
    from batch
    group by usage_date, llm_model
),

daily as (
    select usage_date, llm_model, {sums}, min(built_xmin) as built_xmin, sum(requests) as requests
    from analytics_build.fct_daily_usage
    group by usage_date, llm_model
)

select usage_date, llm_model, figure, in_daily_usage::text, in_all_servers::text
from daily
full join split using (usage_date, llm_model)
cross join lateral (
    values
    {pairs},
    (
        'requests',
        coalesce(daily.requests, 0),
        least(
            greatest(coalesce(daily.requests, 0), coalesce(split.requests_of_one, 0)),
            coalesce(split.requests, 0)
        )
    )
) as pairs (figure, in_daily_usage, in_all_servers)
where
    in_daily_usage <> in_all_servers
    and {untouched}
order by usage_date, llm_model, figure
"""

_DAYS_TO_COME = """
select mcp_cost_key, usage_date, mcp_server, llm_model, requests
from batch
where usage_date > {today}
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the cost by MCP server."""
    suite = ExpectationSuite(
        name="daily_mcp_cost",
        expectations=[
            *(never_null(c) for c in (*_KEY, "is_no_server", *_COUNTS)),
            *(never_null(c) for c in ("built_at", "built_xmin")),
            unique("mcp_cost_key"),
            no_rows("Each day, server and model has one row", _DOUBLED),
            no_rows("Each figure is a number from zero up", _impossible()),
            no_rows("Requests, calls and what is known of the cost agree", _COUNTS_APART),
            no_rows(
                "Each day's and model's sums equal the daily usage's, to the last digit",
                _differ(scope),
            ),
            servers_recounted(scope),
            no_rows(
                "No day lies in the future",
                _DAYS_TO_COME.format(today=literal(scope.today)),
                column="usage_date",
            ),
            *up_to_date(scope, "fct_daily_mcp_cost", "usage_date", "omni2.audit_logs"),
        ],
    )
    return (Judged(suite, mart="fct_daily_mcp_cost", key=_KEY),)


def _impossible() -> str:
    figures = ", ".join(f"('{name}', {name}::numeric)" for name in (*_COUNTS, *_SUMMED))
    return _IMPOSSIBLE.format(figures=figures)


def _differ(scope: Scope) -> str:
    return _SUMS_DIFFER.format(
        sums=", ".join(f"sum({name}) as {name}" for name in _SUMMED),
        pairs=", ".join(
            f"('{name}', coalesce(daily.{name}, 0), coalesce(split.{name}, 0))" for name in _SUMMED
        ),
        untouched=scope.untouched("usage_date", "least(daily.built_xmin, split.built_xmin)"),
    )
