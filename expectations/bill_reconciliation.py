"""What must be true of `fct_bill_reconciliation`: ledger and bill by day, model and token kind."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, all_known, no_rows
from expectations.scope import Scope
from omniledger.settings import get_settings

_KEY = ("reconciliation_key", "bill_date", "llm_model", "token_kind")

_FIGURES = (
    "reconciliation_key",
    "bill_date",
    "token_kind",
    "ledger_tokens",
    "ledger_usd",
    "is_settled",
    "built_xmin",
    "built_at",
)

_DOUBLED = """
select bill_date, llm_model, token_kind, count(*) as rows, min(reconciliation_key)
from batch
group by bill_date, llm_model, token_kind
having count(*) > 1
"""

_CAUSES_DO_NOT_ADD_UP = """
select
    bill_date, llm_model, token_kind, ledger_usd::text, billed_usd::text, difference_usd::text,
    causes_usd::text
from (
    select
        *,
        cause_price_usd + cause_token_count_usd + cause_cache_write_usd + cause_unseen_usd
        + cause_day_boundary_usd + cause_discount_usd + cause_list_price_usd + cause_tier_usd
        + cause_other_usd + cause_unexplained_usd as causes_usd
    from batch
) as summed
where
    difference_usd is distinct from billed_usd - ledger_usd
    or difference_usd is distinct from causes_usd
"""

_TOKENS_BELOW_ZERO = """
select bill_date, llm_model, token_kind, ledger_tokens::text, billed_tokens::text
from batch
where
    least(ledger_tokens, billed_tokens) < 0
    or difference_tokens is distinct from billed_tokens - ledger_tokens
"""

# fct_focus is built before this mart, by the same run. A day that was reported a moment before the
# build may have come too late for it.
_NOT_THE_LEDGERS = """
with newest as (
    select max(built_at) as built_at from batch
),

billed as (
    select (bucket_start at time zone 'UTC')::date as bill_date
    from ledger.provider_buckets
    cross join newest
    where reported_at < newest.built_at - interval '10 minutes'
    group by 1
),

reconciled as (
    select bill_date, sum(ledger_usd) as ledger_usd
    from batch
    group by bill_date
),

focus as (
    select usage_date as bill_date, sum(x_ledger_cost) as ledger_usd
    from analytics_build.fct_focus
    where
        usage_date in (select bill_date from billed union select bill_date from reconciled)
    group by usage_date
)

select
    bill_date, reconciled.ledger_usd::text as ledger_usd, focus.ledger_usd::text as ledger_in_focus
from reconciled
full join focus using (bill_date)
where coalesce(reconciled.ledger_usd, 0) <> coalesce(focus.ledger_usd, 0)
order by bill_date
"""

# Of what is known of both sides: else the ledger's dollars for which nobody knows the charge would
# make any difference look small.
_DAYS_APART = """
select
    bill_date,
    sum(ledger_usd)::text as ledger_usd,
    sum(billed_usd)::text as billed_usd,
    sum(difference_usd)::text as difference_usd,
    bool_and(is_settled) as is_settled
from batch
where billed_usd is not null
group by bill_date
having abs(sum(difference_usd)) > {share} * greatest(sum(billed_usd), sum(ledger_usd))
order by bill_date desc
"""

_DOLLARS_UNKNOWN = """
select bill_date, llm_model, token_kind, billed_tokens::text
from batch
where billed_usd is null and is_usage_known
order by bill_date desc
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the bill: the causes add up, and it is not too far from the ledger."""
    share = get_settings().bill_tolerance_share
    suite = ExpectationSuite(
        name="bill_reconciliation",
        expectations=[
            all_known(_FIGURES, _KEY),
            no_rows("Each day, model and kind has one row", _DOUBLED),
            no_rows(
                "The causes add up to the difference, to the last digit", _CAUSES_DO_NOT_ADD_UP
            ),
            no_rows("No count of tokens is below zero", _TOKENS_BELOW_ZERO),
            no_rows("Each billed day costs in the ledger what fct_focus says", _NOT_THE_LEDGERS),
            no_rows(
                f"The bill of each day lies within {(100 * share).normalize():f} % of the ledger",
                _DAYS_APART.format(share=f"{share:f}"),
                severity="warn",
                column="difference_usd",
            ),
            no_rows(
                "What the provider counted is known in dollars",
                _DOLLARS_UNKNOWN,
                severity="warn",
                column="billed_usd",
            ),
        ],
    )
    return (Judged(suite, mart="fct_bill_reconciliation", key=_KEY),)
