"""The export for FinOps beside the daily usage: cost, tokens of each kind, and names of models."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.recount import IS_REQUEST, POSSIBLE, TOKENS, TOTAL, USER
from expectations.recount_prices import HAS_SPLIT, INPUTS, NAMED
from expectations.rules import NOBODY, no_rows
from expectations.scope import Scope, literal

_KINDS = tuple(name.removeprefix("tokens_") for name in TOKENS)

_OF_KINDS = ", ".join(
    f"sum(raw.{name}) filter (where {POSSIBLE.format(name)}) as {name}" for name in TOKENS
)

# Of days that were written to meanwhile nothing is said. A request whose tokens are not all known
# by kind has them of no kind in the export: so a kind has less there than in the daily usage, by
# what raw rows say of such requests. Of days that stay as they are published they are not read.
_SUMS_DIFFER = f"""
with periods (from_at, until_at) as (
    {{periods}}
),

{INPUTS},

focus as (
    select
        usage_date,
        coalesce(x_user_id::bigint, {NOBODY}) as who,
        x_model as llm_model,
        x_source_system as source_system,
        sum(billed_cost) filter (where x_cost_basis = 'computed') as computed,
        sum(billed_cost) filter (where x_cost_basis = 'estimated') as estimated,
        sum(x_ledger_cost) as in_ledger,
        {
    ", ".join(
        f"coalesce(sum(x_tokens) filter (where x_token_kind = '{kind}'), 0) as tokens_{kind}"
        for kind in (*_KINDS, "unsplit")
    )
},
        min(built_xmin) as built_xmin
    from batch
    group by 1, 2, 3, 4
),

daily as (
    select
        usage_date,
        coalesce(user_id::bigint, {NOBODY}) as who,
        llm_model,
        source_system,
        sum(cost_recomputed_usd) as computed,
        sum(cost_estimated_usd) as estimated,
        sum(cost_usd) as in_ledger,
        {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in TOKENS)},
        min(built_xmin) as built_xmin
    from analytics_build.fct_daily_usage
    group by 1, 2, 3, 4
),

names as (
    select distinct lists.usage_date, lists.llm_model, names.name
    from (
        select usage_date, x_model as llm_model, model_names
        from batch
        where usage_date = any({{days}})
        group by 1, 2, 3
    ) as lists
    cross join lateral jsonb_array_elements_text(lists.model_names) as names (name)
),

alike as (
    select
        {{date_of_row}} as usage_date,
        {USER} as who,
        raw.source_system::text as source_system,
        nullif(btrim(raw.llm_model::text collate "default"), '') as recorded_name,
        width_bucket(raw.timestamp, stretches.moments) as stretch,
        min(raw.timestamp) as first_at,
        {_OF_KINDS},
        sum({TOTAL}) as tokens_unsplit
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join stretches
    where {IS_REQUEST} and not {HAS_SPLIT}
    group by usage_date, who, source_system, recorded_name, stretch
),

named as (
    {NAMED}
),

without_split as (
    select
        usage_date, who, source_system, coalesce(names.llm_model, named.name) as llm_model,
        {", ".join(f"sum({name}) as {name}" for name in (*TOKENS, "tokens_unsplit"))}
    from named
    left join names using (usage_date, name)
    group by 1, 2, 3, 4
)

select
    usage_date, nullif(who, {NOBODY}) as x_user_id, llm_model as x_model,
    source_system as x_source_system,
    daily.computed::text as computed_in_daily_usage, focus.computed::text,
    daily.estimated::text as estimated_in_daily_usage, focus.estimated::text,
    daily.in_ledger::text as in_ledger_in_daily_usage, focus.in_ledger::text,
    {
    ", ".join(
        f"daily.tokens_{kind}::text as {kind}_in_daily_usage,"
        f" without_split.tokens_{kind}::text as {kind}_of_no_kind,"
        f" focus.tokens_{kind}::text as {kind}"
        for kind in _KINDS
    )
},
    without_split.tokens_unsplit::text as unsplit_in_ledger, focus.tokens_unsplit::text as unsplit
from daily
full join focus using (usage_date, who, llm_model, source_system)
left join without_split using (usage_date, who, llm_model, source_system)
where
    (
        coalesce(daily.computed, 0) <> coalesce(focus.computed, 0)
        or coalesce(daily.estimated, 0) <> coalesce(focus.estimated, 0)
        or coalesce(daily.in_ledger, 0) <> coalesce(focus.in_ledger, 0)
        or {" or ".join(f"focus.{name} > coalesce(daily.{name}, 0)" for name in TOKENS)}
        or (
            usage_date = any({{days}})
            and (
                coalesce(focus.tokens_unsplit, 0) <> coalesce(without_split.tokens_unsplit, 0)
                or {
    " or ".join(
        f"coalesce(focus.{name}, 0)"
        f" <> coalesce(daily.{name}, 0) - coalesce(without_split.{name}, 0)"
        for name in TOKENS
    )
}
            )
            and {{is_kept}}
        )
    )
    and {{untouched}}
order by usage_date
"""  # noqa: S608 (no value of anybody's in it)

# Of a row of the daily usage with one name and requests, the export must have that name; with
# others, some may be of tool calls only.
_OTHER_NAMES = """
with lists as (
    select
        usage_date, x_model as llm_model, model_names,
        min(focus_key) as focus_key, min(built_xmin) as built_xmin
    from batch
    where usage_date = any({days})
    group by 1, 2, 3
),

called as (
    select
        usage_date, llm_model,
        jsonb_agg(to_jsonb(model_names)) as all_lists,
        jsonb_agg(model_names[1]) filter (
            where requests > 0 and cardinality(model_names) = 1
        ) as sure_names,
        min(built_xmin) as built_xmin
    from (
        select
            usage_date, llm_model, model_names,
            max(requests) as requests, min(built_xmin) as built_xmin
        from analytics_build.fct_daily_usage
        where usage_date = any({days})
        group by 1, 2, 3
    ) as alike
    group by 1, 2
)

select usage_date, llm_model as x_model, focus_key, model_names::text, all_lists::text as in_usage
from lists
inner join called using (usage_date, llm_model)
where
    (
        model_names @> coalesce(sure_names, '[]')
        and model_names <@ jsonb_path_query_array(all_lists, '$[*][*]')
    ) is not true
    and {is_kept}
    and {untouched}
order by usage_date, x_model
"""


def export_as_usage(scope: Scope) -> list[Expectation]:
    """That users, models and sources of a day have in the export what they have elsewhere."""
    days = literal(list(scope.days)) + "::date[]"
    is_kept = scope.is_kept("usage_date")
    return [
        no_rows(
            "Each day's cost and tokens are what the daily usage says",
            _SUMS_DIFFER.format(
                mart="fct_focus",
                periods=scope.range_rows(),
                days=days,
                date_of_row=scope.date_of("raw.timestamp"),
                is_kept=is_kept,
                untouched=scope.untouched(
                    "usage_date", "least(daily.built_xmin, focus.built_xmin)"
                ),
            ),
        ),
        no_rows(
            "Each model has the names that the daily usage has",
            _OTHER_NAMES.format(
                days=days,
                is_kept=is_kept,
                untouched=scope.untouched(
                    "usage_date", "least(lists.built_xmin, called.built_xmin)"
                ),
            ),
            column="model_names",
        ),
    ]
