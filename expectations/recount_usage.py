"""The daily usage a second time: requests, tokens and money of each user and model of a day."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.recount import HAS_FAILED, IS_REQUEST, POSSIBLE, TOKENS, USER, recounted
from expectations.recount_prices import ALIKE, INPUTS, NAMED, ROWS_ALIKE, SUMS_ALIKE, WORTH
from expectations.rules import NOBODY, no_rows
from expectations.scope import Scope, literal

_FIGURES = (
    "requests",
    "errors",
    "blocked",
    "tool_calls",
    "tool_calls_reported",
    "requests_cost_recorded",
    "requests_cost_computed",
    "requests_cost_estimated",
    "requests_cost_unknown",
    "requests_model_assumed",
    "requests_impossible",
    *TOKENS,
    "tokens_total",
    "tokens_cost_unknown",
    "cost_recorded_usd",
    "cost_recomputed_usd",
    "cost_computed_usd",
    "cost_estimated_usd",
    "cost_difference_usd",
    "cost_usd",
)

_BLOCKED = "coalesce(raw.was_blocked, false)"

_IMPOSSIBLE = " or ".join(
    f"not ({POSSIBLE.format(name)})" for name in (*TOKENS, "llm_tokens_used", "cost_usd")
)

_USAGE = f"""
{INPUTS},

built as (
    select
        usage_date, coalesce(user_id::bigint, {NOBODY}) as who, source_system, llm_model,
        cardinality(model_names) as names,
        built_xmin, {", ".join(_FIGURES)}
    from batch
    where usage_date = any({{days}})
),

names as (
    select
        batch.usage_date, coalesce(batch.user_id::bigint, {NOBODY}) as who, batch.source_system,
        batch.llm_model, names.name
    from batch
    cross join lateral unnest(batch.model_names) as names (name)
    where batch.usage_date = any({{days}})
),

alike as (
    select
        {{date_of_row}} as usage_date,
        {USER} as who,
        raw.source_system::text as source_system,
        {ROWS_ALIKE},
        {SUMS_ALIKE},
        count(*) filter (where {IS_REQUEST} and ({HAS_FAILED}) and not {_BLOCKED}) as errors,
        count(*) filter (where {IS_REQUEST} and {_BLOCKED}) as blocked,
        count(*) filter (where {IS_REQUEST} and ({_IMPOSSIBLE})) as requests_impossible,
        count(raw.tool_called) as tool_calls,
        sum(raw.tool_calls_count::bigint) filter (
            where raw.tool_calls_count >= 0
        ) as tool_calls_reported
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join stretches
    group by usage_date, who, source_system, {", ".join(ALIKE)}
),

named as (
    {NAMED}
),

meant as (
    select named.*, coalesce(names.llm_model, named.name) as llm_model
    from named
    left join names using (usage_date, who, source_system, name)
),

worth as (
    {WORTH}
),

held as (
    select
        usage_date, who, source_system, llm_model,
        count(distinct name) as names,
        coalesce(sum(rows) filter (where is_request), 0) as requests,
        sum(errors) as errors,
        sum(blocked) as blocked,
        sum(tool_calls) as tool_calls,
        sum(tool_calls_reported) as tool_calls_reported,
        coalesce(sum(rows) filter (where basis = 'recorded'), 0) as requests_cost_recorded,
        coalesce(sum(rows) filter (where basis = 'computed'), 0) as requests_cost_computed,
        coalesce(sum(rows) filter (where basis = 'estimated'), 0) as requests_cost_estimated,
        coalesce(sum(rows) filter (where basis = 'unknown'), 0) as requests_cost_unknown,
        coalesce(sum(rows) filter (where is_request and is_assumed), 0) as requests_model_assumed,
        sum(requests_impossible) as requests_impossible,
        {", ".join(f"sum({name}) as {name}" for name in (*TOKENS, "tokens_total"))},
        sum(tokens_total) filter (where basis = 'unknown') as tokens_cost_unknown,
        sum(recorded_usd) as cost_recorded_usd,
        sum(recomputed_usd) as cost_recomputed_usd,
        sum(recomputed_usd) filter (where basis = 'computed') as cost_computed_usd,
        sum(of_total_usd) filter (where basis = 'estimated') as cost_estimated_usd,
        sum(recorded_usd - recomputed_usd) as cost_difference_usd,
        sum(known_usd) as cost_usd
    from worth
    group by usage_date, who, source_system, llm_model
)
"""  # noqa: S608 (no value of anybody's in it)

# A name may have come to mean another model since the mart was built: then nothing is said.
_MEANT_OTHERWISE = """
select usage_date, llm_model, name as model_name, ledger.canonical_model(name) as means
from (
    select batch.llm_model, names.name, min(batch.usage_date) as usage_date
    from batch
    cross join lateral unnest(batch.model_names) as names (name)
    where batch.usage_date = any({days})
    group by batch.llm_model, names.name
    offset 0
) as named
where
    llm_model <> coalesce(ledger.canonical_model(name), name)
    and exists (
        select 1
        from analytics_build.build_inputs as inputs
        where
            inputs.mart = 'fct_daily_usage'
            and inputs.input_name = 'model_names'
            and inputs.content = (
                select
                    md5(coalesce(string_agg(name || ' ' || model, ' ' order by name), ''))
                from ledger.model_names
            )
    )
    and {is_kept}
"""


def usage_recounted(scope: Scope) -> Expectation:
    """That each user and model of a day has the figures that the raw rows give, by source."""
    return recounted(
        "Each day, user, model and source has the figures that the ledger has",
        scope,
        _USAGE,
        (*_FIGURES, "names"),
        key="usage_date, who, source_system, llm_model",
        shown=f"usage_date, nullif(who, {NOBODY}) as user_id, source_system, llm_model",
        mart="fct_daily_usage",
    )


def models_as_named(scope: Scope) -> Expectation:
    """That figures stand under the model that the names in the ledger mean."""
    return no_rows(
        "Each model is the one that its names mean",
        _MEANT_OTHERWISE.format(
            days=literal(list(scope.days)) + "::date[]", is_kept=scope.is_kept("usage_date")
        ),
        column="llm_model",
    )
