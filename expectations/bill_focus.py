"""What must be true of `fct_focus`: the cost in the columns of FOCUS 1.2."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount_export import export_recounted
from expectations.rules import NOBODY, Judged, all_known, no_rows, unique
from expectations.scope import Scope
from expectations.staleness import up_to_date

_KEY = ("focus_key", "usage_date", "x_user_id", "x_model", "x_token_kind")

_FIGURES = (
    "focus_key",
    "usage_date",
    "x_model",
    "x_token_kind",
    "x_ledger_cost",
    "list_cost",
    "billed_cost",
    "effective_cost",
    "contracted_cost",
    "built_xmin",
    "built_at",
)

_KINDS = ("input", "output", "cached", "cache_write")

_COSTS_APART = """
select
    focus_key, usage_date, x_model, x_token_kind,
    billed_cost::text, list_cost::text, x_ledger_cost::text
from batch
where
    not (
        least(billed_cost, list_cost, x_ledger_cost) >= 0
        and greatest(billed_cost, list_cost, x_ledger_cost) < 1e30
    )
    or effective_cost <> billed_cost
    or contracted_cost <> billed_cost
    or contracted_unit_price * pricing_quantity <> billed_cost
    or list_unit_price * pricing_quantity <> list_cost
    or (charge_category = 'Usage') <> (list_unit_price is not null)
    or (charge_category = 'Usage') <> (contracted_unit_price is not null)
    or (charge_category <> 'Usage' and list_cost <> billed_cost)
    or (x_cost_basis <> 'computed' and x_ledger_cost <> billed_cost)
    or (charge_category = 'Usage' and consumed_quantity is distinct from x_tokens)
    or pricing_quantity * 1000000 <> x_tokens
    or billing_currency <> 'USD'
"""

_OUTSIDE_ITS_PERIOD = """
select focus_key, usage_date, x_utc_date, charge_period_start, charge_period_end
from batch
where
    charge_period_start >= charge_period_end
    or charge_period_start < billing_period_start
    or charge_period_end > billing_period_end
    or charge_period_start < x_utc_date::timestamp at time zone 'UTC'
    or charge_period_end > (x_utc_date + 1)::timestamp at time zone 'UTC'
    or (
        (charge_period_start < {starts_at} or charge_period_end > {ends_at})
        and {is_kept}
    )
"""

# Of days that were written to meanwhile nothing is said. A request with some of its kinds only is
# of no kind in the export, so that a kind may have less there, and never more: how much, the raw
# rows say.
_SUMS_DIFFER = """
with focus as (
    select
        usage_date,
        coalesce(x_user_id::bigint, {nobody}) as who,
        x_model as llm_model,
        x_source_system as source_system,
        sum(billed_cost) filter (where x_cost_basis = 'computed') as computed,
        sum(billed_cost) filter (where x_cost_basis = 'estimated') as estimated,
        sum(x_ledger_cost) as in_ledger,
        {tokens},
        min(built_xmin) as built_xmin
    from batch
    group by 1, 2, 3, 4
),

daily as (
    select
        usage_date,
        coalesce(user_id::bigint, {nobody}) as who,
        llm_model,
        source_system,
        sum(cost_recomputed_usd) as computed,
        sum(cost_estimated_usd) as estimated,
        sum(cost_usd) as in_ledger,
        {tokens_of_day},
        min(built_xmin) as built_xmin
    from analytics_build.fct_daily_usage
    group by 1, 2, 3, 4
)

select
    usage_date, nullif(who, {nobody}) as x_user_id, llm_model as x_model,
    source_system as x_source_system,
    daily.computed::text as computed_in_daily_usage, focus.computed::text,
    daily.estimated::text as estimated_in_daily_usage, focus.estimated::text,
    daily.in_ledger::text as in_ledger_in_daily_usage, focus.in_ledger::text,
    {tokens_shown}
from daily
full join focus using (usage_date, who, llm_model, source_system)
where
    (
        coalesce(daily.computed, 0) <> coalesce(focus.computed, 0)
        or coalesce(daily.estimated, 0) <> coalesce(focus.estimated, 0)
        or coalesce(daily.in_ledger, 0) <> coalesce(focus.in_ledger, 0)
        or {tokens_apart}
    )
    and {untouched}
order by usage_date
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the export for FinOps."""
    suite = ExpectationSuite(
        name="bill_focus",
        expectations=[
            all_known(_FIGURES, _KEY),
            unique("focus_key"),
            no_rows("Each cost is a number from zero up, and price times quantity", _COSTS_APART),
            no_rows(
                "Each charge lies in its day and in its billing period",
                _OUTSIDE_ITS_PERIOD.format(
                    starts_at=scope.starts_at("usage_date"),
                    ends_at=scope.starts_at("usage_date + 1"),
                    is_kept=scope.is_kept("usage_date"),
                ),
            ),
            no_rows(
                "Each day's cost and tokens are what the daily usage says",
                _SUMS_DIFFER.format(
                    nobody=NOBODY,
                    tokens=", ".join(
                        f"sum(x_tokens) filter (where x_token_kind = '{kind}') as tokens_{kind}"
                        for kind in _KINDS
                    ),
                    tokens_of_day=", ".join(
                        f"sum(tokens_{kind}) as tokens_{kind}" for kind in _KINDS
                    ),
                    tokens_shown=", ".join(
                        f"daily.tokens_{kind}::text as {kind}_in_daily_usage,"
                        f" focus.tokens_{kind}::text as {kind}"
                        for kind in _KINDS
                    ),
                    tokens_apart=" or ".join(
                        f"focus.tokens_{kind} > coalesce(daily.tokens_{kind}, 0)" for kind in _KINDS
                    ),
                    untouched=scope.untouched(
                        "usage_date", "least(daily.built_xmin, focus.built_xmin)"
                    ),
                ),
            ),
            export_recounted(scope),
            *up_to_date(scope, "fct_focus", "usage_date", "omni2.audit_logs"),
        ],
    )
    return (Judged(suite, mart="fct_focus", key=_KEY),)
