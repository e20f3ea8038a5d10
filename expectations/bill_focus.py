"""What must be true of `fct_focus`: the cost in the columns of FOCUS 1.2."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount_export import export_as_usage
from expectations.rules import Judged, all_known, no_rows, unique
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
    or pricing_currency is distinct from 'USD'
    or pricing_currency_effective_cost is distinct from billed_cost
    or pricing_currency_list_unit_price is distinct from list_unit_price
    or pricing_currency_contracted_unit_price is distinct from contracted_unit_price
    or llm_model is distinct from x_model
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
            *export_as_usage(scope),
            *up_to_date(scope, "fct_focus", "usage_date", "omni2.audit_logs"),
        ],
    )
    return (Judged(suite, mart="fct_focus", key=_KEY),)
