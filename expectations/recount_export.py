"""The tokens of each kind in the export for FinOps a second time, straight from the raw rows."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.recount import POSSIBLE, TOKENS, recounted
from expectations.scope import Scope

_KINDS = {
    **{name: name.removeprefix("tokens_") for name in TOKENS},
    "tokens_unsplit": "unsplit",
}

# A request whose tokens are not all known by kind has them of no kind. Whose they are is left to
# the rule that no user and model has more of a kind than in the daily usage: so groups are few.
_EXPORT = """
built as (
    select
        usage_date,
        x_source_system as source_system,
        min(built_xmin) as built_xmin,
        {tokens_of_kinds}
    from batch
    where usage_date = any({days})
    group by 1, 2
),

held as (
    select
        {date_of_row} as usage_date,
        raw.source_system::text as source_system,
        {split_sums},
        sum({total}) filter (where not {has_split}) as tokens_unsplit
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    where {is_request}
    group by 1, 2
)
"""


def export_recounted(scope: Scope) -> Expectation:
    """That each day has the tokens of each kind that the raw rows give, by source."""
    has_split = "coalesce({} and {} and coalesce({}, true) and coalesce({}, true), false)".format(
        *(POSSIBLE.format(name) for name in TOKENS)
    )
    return recounted(
        "Each day and source has the tokens of each kind that the ledger has",
        scope,
        _EXPORT,
        tuple(_KINDS),
        key="usage_date, source_system",
        shown="usage_date, source_system as x_source_system",
        has_split=has_split,
        tokens_of_kinds=", ".join(
            f"sum(x_tokens) filter (where x_token_kind = '{kind}') as {name}"
            for name, kind in _KINDS.items()
        ),
        split_sums=", ".join(
            f"sum(raw.{name}::bigint) filter (where {has_split}) as {name}" for name in TOKENS
        ),
    )
