"""What must be true of `fct_daily_usage`: requests, tokens and cost by day, user, model, source."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount_usage import models_as_named, usage_recounted
from expectations.rules import Judged, all_known, never_null, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import no_day_lost, up_to_date

_KEY = ("usage_key", "usage_date", "user_id", "llm_model", "source_system")

_GRAIN = "usage_date, user_id, llm_model, source_system"

_TOKENS = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "tokens_total")
_PARTS = ("errors", "requests_model_assumed", "requests_impossible")
_COUNTS = (
    "requests",
    *_PARTS,
    "blocked",
    "tool_calls",
    "tool_calls_reported",
    "requests_cost_recorded",
    "requests_cost_computed",
    "requests_cost_estimated",
    "requests_cost_unknown",
)
_COSTS = (
    "cost_recorded_usd",
    "cost_recomputed_usd",
    "cost_computed_usd",
    "cost_estimated_usd",
    "cost_usd",
)
_CONTROLLED = ("requests", "errors", "blocked", "tool_calls", *_TOKENS, "cost_recorded_usd")

_DOUBLED = """
select usage_date, user_id, llm_model, source_system, count(*) as rows, min(usage_key) as usage_key
from batch
group by usage_date, user_id, llm_model, source_system
having count(*) > 1
"""

_FIGURES_BELOW_ZERO = """
select usage_key, {grain}, figure, value
from batch
cross join lateral (values {figures}) as figures (figure, value)
where least({columns}) < 0 and value < 0
"""

# NaN sorts above every number, so this finds it too, as it finds infinity.
_IMPOSSIBLE_COSTS = """
select usage_key, {grain}, figure, value::text
from batch
cross join lateral (values {figures}) as figures (figure, value)
where
    (least({columns}) < 0 or greatest({columns}) >= 1e30)
    and not (value >= 0 and value < 1e30)
"""

_MORE_THAN_REQUESTS = """
select usage_key, {grain}, requests, figure, value
from batch
cross join lateral (values {figures}) as figures (figure, value)
where greatest({columns}) > requests and value > requests
"""

_BASES_DO_NOT_ADD_UP = """
select
    usage_key, usage_date, user_id, llm_model, source_system, requests,
    requests_cost_recorded, requests_cost_computed, requests_cost_estimated, requests_cost_unknown
from batch
where
    requests is distinct from (
        requests_cost_recorded + requests_cost_computed
        + requests_cost_estimated + requests_cost_unknown
    )
"""

_COST_MISSING = """
select
    usage_key, usage_date, user_id, llm_model, source_system,
    requests_cost_recorded, cost_recorded_usd::text,
    requests_cost_computed, cost_computed_usd::text,
    requests_cost_estimated, cost_estimated_usd::text
from batch
where
    (requests_cost_recorded > 0 and cost_recorded_usd is null)
    or (requests_cost_computed > 0 and num_nulls(cost_computed_usd, cost_recomputed_usd) > 0)
    or (requests_cost_estimated > 0 and cost_estimated_usd is null)
"""

_MONEY_DOES_NOT_ADD_UP = """
select
    usage_key, usage_date, user_id, llm_model, source_system, cost_usd::text,
    cost_recorded_usd::text, cost_computed_usd::text, cost_estimated_usd::text,
    cost_recomputed_usd::text, cost_difference_usd::text, tokens_cost_unknown
from batch
where
    coalesce(cost_usd, 0) <> coalesce(cost_recorded_usd, 0)
    + coalesce(cost_computed_usd, 0) + coalesce(cost_estimated_usd, 0)
    or cost_computed_usd > cost_recomputed_usd
    or cost_difference_usd + cost_recomputed_usd - coalesce(cost_computed_usd, 0)
    not between 0 and cost_recorded_usd
    or (cost_difference_usd is null and cost_recomputed_usd > coalesce(cost_computed_usd, 0))
    or (cost_difference_usd is not null and num_nulls(cost_recomputed_usd, cost_recorded_usd) > 0)
    or not (coalesce(tokens_cost_unknown, 0) between 0 and coalesce(tokens_total, 0))
    or (requests_cost_unknown = 0 and tokens_cost_unknown > 0)
"""

# Only days that are built anew: a price that came later changes no day by itself. And only where
# the figures look wrong is a raw row looked for that proves it: one request that names the model
# and both of its token figures, at a time for which that model has a price.
_PRICED_BUT_WITHOUT_COST = """
select usage_key, {grain}, tokens_input, tokens_output
from batch as usage
where
    cost_recomputed_usd is null
    and tokens_input > 0
    and tokens_output > 0
    and {is_kept}
    and exists (
        select 1
        from omni2.audit_logs as raw
        cross join lateral (
            select prices.*
            from ledger.model_prices as prices
            where prices.model = raw.llm_model and prices.valid_from <= raw.timestamp
            order by prices.valid_from desc
            limit 1
        ) as price
        where
            raw.llm_model = usage.llm_model
            and raw.user_id is not distinct from usage.user_id
            and raw.source_system = usage.source_system
            and coalesce(raw.change_xid, 0) < usage.built_xmin
            and raw.timestamp >= {starts_at}
            and raw.timestamp < {ends_at}
            and raw.timestamp < coalesce(price.valid_to, 'infinity')
            and least(raw.tokens_input, raw.tokens_output, price.input, price.output) >= 0
            and num_nonnulls(raw.tokens_input, raw.tokens_output) = 2
            and coalesce(raw.tokens_cached, 0) = 0
            and coalesce(raw.tokens_cache_write, 0) = 0
    )
"""

_DAYS_ON_ONE_SIDE = """
select
    coalesce(figures.usage_date, control.usage_date) as usage_date,
    case when figures.usage_date is null then 'figures' else 'control' end as missing_in
from (select distinct usage_date from batch) as figures
full join analytics_build.control_totals as control using (usage_date)
where figures.usage_date is null or control.usage_date is null
"""

_SUMS_DIFFER = """
with daily as (
    select usage_date, {sums}
    from batch
    group by usage_date
)

select usage_date, figure, in_figures::text, in_control::text
from daily
inner join analytics_build.control_totals as control using (usage_date)
cross join lateral (values {pairs}) as pairs (figure, in_figures, in_control)
where coalesce(in_figures, 0) <> coalesce(in_control, 0)
order by usage_date, figure
"""

_DAYS_TO_COME = """
select usage_key, {grain}, requests
from batch
where usage_date > {today}
"""

_COUNTED_REQUESTS = """
select usage_date, llm_model, source_system, sum({count})::bigint as {count}
from batch
where {count} > 0
group by usage_date, llm_model, source_system
order by usage_date desc, llm_model, source_system
"""

_NOBODYS = """
select usage_date, source_system, sum(requests)::bigint as requests
from batch
where user_id is null and requests > 0
group by usage_date, source_system
order by usage_date desc, source_system
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the daily usage, those that stop first."""
    suite = ExpectationSuite(
        name="daily_usage",
        expectations=[
            *(never_null(c) for c in ("usage_key", "usage_date", "llm_model", "source_system")),
            *(never_null(c) for c in ("requests", "built_at", "built_xmin")),
            all_known(tuple(c for c in _COUNTS if c != "tool_calls_reported"), _KEY),
            unique("usage_key"),
            no_rows("Each day, user, model and source has one row", _DOUBLED),
            no_rows("No token figure is below zero", _figures(_FIGURES_BELOW_ZERO, _TOKENS)),
            no_rows("No count is below zero", _figures(_FIGURES_BELOW_ZERO, _COUNTS)),
            no_rows("Each cost is a number from zero up", _figures(_IMPOSSIBLE_COSTS, _COSTS)),
            no_rows("The ways in which cost is known add up to the requests", _BASES_DO_NOT_ADD_UP),
            no_rows("No part of the requests exceeds them", _figures(_MORE_THAN_REQUESTS, _PARTS)),
            no_rows("Each way in which cost is known has its cost", _COST_MISSING),
            no_rows(
                "The parts of the cost add up to it, to the last digit", _MONEY_DOES_NOT_ADD_UP
            ),
            no_rows("Where a price is, the cost is there", _priced_but_without_cost(scope)),
            no_rows("Figures and control totals have the same days", _DAYS_ON_ONE_SIDE),
            no_rows("Each day's sums equal the control totals, to the last digit", _sums_differ()),
            usage_recounted(scope),
            models_as_named(scope),
            *no_day_lost(scope),
            *up_to_date(scope, "fct_daily_usage", "usage_date", "omni2.audit_logs"),
            no_rows(
                "No day lies in the future",
                _DAYS_TO_COME.format(grain=_GRAIN, today=literal(scope.today)),
                column="usage_date",
            ),
            *(
                no_rows(
                    sentence,
                    _COUNTED_REQUESTS.format(count=column),
                    severity="warn",
                    column=column,
                )
                for sentence, column in (
                    ("The cost of every request is known", "requests_cost_unknown"),
                    ("No request has an impossible figure", "requests_impossible"),
                    ("The model of every request is known", "requests_model_assumed"),
                )
            ),
            no_rows(
                "The user of every request is known", _NOBODYS, severity="warn", column="user_id"
            ),
        ],
    )
    return (Judged(suite, mart="fct_daily_usage", key=_KEY),)


def _figures(query: str, columns: tuple[str, ...]) -> str:
    return query.format(
        grain=_GRAIN,
        columns=", ".join(columns),
        figures=", ".join(f"('{column}', {column})" for column in columns),
    )


def _priced_but_without_cost(scope: Scope) -> str:
    return _PRICED_BUT_WITHOUT_COST.format(
        grain=_GRAIN,
        days=literal(list(scope.days)) + "::date[]",
        starts_at=scope.starts_at("usage.usage_date"),
        ends_at=scope.starts_at("usage.usage_date + 1"),
        is_kept=scope.is_kept("usage.usage_date"),
    )


def _sums_differ() -> str:
    return _SUMS_DIFFER.format(
        sums=", ".join(f"sum({column}) as {column}" for column in _CONTROLLED),
        pairs=", ".join(
            f"('{column}', daily.{column}::numeric, control.{column}::numeric)"
            for column in _CONTROLLED
        ),
    )
