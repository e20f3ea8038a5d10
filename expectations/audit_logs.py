"""What should be true of the raw ledger on the days that are to be published.

Whatever was written is kept, however odd, and the marts leave it out of their sums; so these
rules warn, and name the rows to look at. They read those days only.
"""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, no_rows
from expectations.scope import Scope

STATUS_WORDS = ("success", "error", "warning")
"""What gateways write into `status`."""

_ROWS = """
select
    raw.id, raw.source_system, raw.legacy_id, raw.user_id, raw.legacy_user_id, raw.status,
    raw.llm_tokens_used, raw.tokens_input, raw.tokens_output, raw.tokens_cached,
    raw.tokens_cache_write, raw.cost_usd, raw.duration_ms
from ({periods}) as periods (from_at, until_at)
inner join omni2.audit_logs as raw
    on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
"""

# The first condition is cheap and finds the rows, the second finds the figures in them.
_IMPOSSIBLE = """
select id, source_system, legacy_id, figure, value::text
from batch
cross join lateral (
    values
    ('llm_tokens_used', llm_tokens_used::numeric),
    ('tokens_input', tokens_input),
    ('tokens_output', tokens_output),
    ('tokens_cached', tokens_cached),
    ('tokens_cache_write', tokens_cache_write),
    ('cost_usd', cost_usd::numeric),
    ('duration_ms', duration_ms)
) as figures (figure, value)
where
    (
        least(
            llm_tokens_used, tokens_input, tokens_output, tokens_cached, tokens_cache_write,
            duration_ms
        ) < 0
        or not (cost_usd >= 0 and cost_usd < 1e30)
    )
    and not (value >= 0 and value < 1e30)
"""

# What "total" means differs: some writers leave cached tokens out of it, or only those written.
_TOTAL_IS_NOT_THE_SUM = """
select
    id, source_system, legacy_id, llm_tokens_used,
    tokens_input, tokens_output, tokens_cached, tokens_cache_write
from batch
where
    tokens_input >= 0
    and tokens_output >= 0
    and llm_tokens_used::numeric - tokens_input - tokens_output not in (
        0,
        coalesce(tokens_cached, 0),
        coalesce(tokens_cached, 0)::numeric + coalesce(tokens_cache_write, 0)
    )
"""

_UNKNOWN_WORDS = """
select status as word, count(*) as rows, min(id) as first_id, max(id) as last_id
from batch
where lower(btrim(status)) not in ({words})
group by status
"""

_UNMAPPED = """
select
    legacy_user_id, count(*) as rows, min(id) as first_id, max(id) as last_id
from batch
where legacy_user_id is not null and user_id is null
group by legacy_user_id
"""

_QUARANTINED = "select legacy_id, reason, quarantined_at from batch order by legacy_id"


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the raw ledger, and of the rows that it can't hold.

    Of those all are looked at: they may have no day.
    """
    words = ", ".join(f"'{word}'" for word in STATUS_WORDS)
    raw = ExpectationSuite(
        name="audit_logs",
        expectations=[
            no_rows("No figure is impossible", _IMPOSSIBLE, severity="warn"),
            no_rows(
                "A recorded total is the sum of its split, with or without cached tokens",
                _TOTAL_IS_NOT_THE_SUM,
                severity="warn",
                column="llm_tokens_used",
            ),
            no_rows(
                "Every status word is known",
                _UNKNOWN_WORDS.format(words=words),
                severity="warn",
                column="status",
            ),
            no_rows(
                "Every user of the old log is known to the gateway",
                _UNMAPPED,
                severity="warn",
                column="legacy_user_id",
            ),
        ],
    )
    quarantine = ExpectationSuite(
        name="audit_quarantine",
        expectations=[
            no_rows("No row of the old log is in quarantine", _QUARANTINED, severity="warn")
        ],
    )
    return (
        Judged(raw, query=_ROWS.format(periods=scope.range_rows())),
        Judged(quarantine, query="select * from ledger.audit_quarantine"),
    )
