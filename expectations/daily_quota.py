"""What must be true of `fct_daily_quota`: what users used of what they might, by day."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount import POSSIBLE
from expectations.rules import NOBODY, Judged, all_known, never_null, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date

_KEY = ("quota_key", "usage_date", "user_id")

_FIGURES = (
    "rows_counted",
    "tokens_used",
    "tokens_unpriced",
    "cost_recorded_usd",
    "cost_unpriced_usd",
    "cost_used_usd",
    "is_exceeded",
    "overspend_usd",
    "built_xmin",
    "built_at",
)

_DOUBLED = """
select usage_date, user_id, count(*) as rows, min(quota_key) as quota_key
from batch
group by usage_date, user_id
having count(*) > 1
"""

# NaN sorts above every number, so this finds it too, as it finds infinity.
_IMPOSSIBLE = """
select quota_key, usage_date, user_id, figure, value::text
from batch
cross join lateral (
    values
    ('rows_counted', rows_counted::numeric),
    ('tokens_used', tokens_used::numeric),
    ('tokens_unpriced', tokens_unpriced::numeric),
    ('cost_recorded_usd', cost_recorded_usd),
    ('cost_unpriced_usd', cost_unpriced_usd),
    ('cost_limit_usd', cost_limit_usd),
    ('overspend_usd', overspend_usd)
) as figures (figure, value)
where not (value >= 0 and value < 1e30)
"""

_DOES_NOT_ADD_UP = """
select
    quota_key, usage_date, user_id, cost_recorded_usd::text, cost_unpriced_usd::text,
    tokens_unpriced, unpriced_input_usd::text, cost_used_usd::text, cost_limit_usd::text,
    overspend_usd::text, is_exceeded, crossed_at
from batch
where
    cost_used_usd is distinct from cost_recorded_usd + cost_unpriced_usd
    or overspend_usd is distinct from greatest(cost_used_usd - cost_limit_usd, 0)
    or is_exceeded is distinct from (cost_used_usd >= cost_limit_usd)
    or is_exceeded is distinct from (crossed_at is not null)
    or tokens_unpriced > tokens_used
    or (
        cost_unpriced_usd <> 0
        and cost_unpriced_usd is distinct from tokens_unpriced * unpriced_input_usd * 0.000001
    )
    or abs(used_share * cost_limit_usd - cost_used_usd) > 0.0001 * greatest(cost_limit_usd, 1)
    or (used_share is null) <> (cost_limit_usd = 0)
"""

_CROSSED_ON_ANOTHER_DAY = """
select quota_key, usage_date, user_id, crossed_at::text
from batch
where {date_of} <> usage_date
"""

# Of limits noted at one moment the lowest holds, and then what comes first, as in the mart.
_LIMIT_NOT_IN_FORCE = """
with limits as (
    select
        coalesce(user_id::bigint, {nobody}) as who,
        cost_limit,
        basis,
        valid_from,
        lead(valid_from, 1, 'infinity') over (
            partition by user_id order by valid_from, cost_limit desc, basis desc
        ) as valid_to
    from ledger.limit_history
),

days as (
    select usage_date, {ends_at} as ends_at
    from (select distinct usage_date from batch where usage_date = any({days})) as dates
    where {is_kept}
)

select
    quota_key, usage_date, batch.user_id, batch.cost_limit_usd::text, batch.limit_basis,
    coalesce(own.cost_limit, everybodys.cost_limit)::text as limit_in_force,
    coalesce(own.basis, everybodys.basis) as basis_in_force
from days
inner join batch using (usage_date)
left join limits as own
    on batch.user_id = own.who and own.valid_from < ends_at and own.valid_to >= ends_at
left join limits as everybodys
    on everybodys.who = {nobody}
    and everybodys.valid_from < ends_at
    and everybodys.valid_to >= ends_at
where
    (batch.cost_limit_usd, batch.limit_basis)
    is distinct from
    (
        coalesce(own.cost_limit, everybodys.cost_limit),
        coalesce(own.basis, everybodys.basis)
    )
order by usage_date, user_id
"""

# A second time and another way: straight from the raw rows of the days to be published. The ledger
# goes on meanwhile, so only rows from before the mart was built must be in it, and of days that
# were written to, or lost rows, since then nothing more is said.
_NOT_WHAT_THE_LEDGER_HOLDS = """
with periods (from_at, until_at) as (
    {periods}
),

newest (built_xmin) as (
    select coalesce(max(built_xmin), 0) from batch
),

going_on as (
    select {date_of_row} as usage_date
    from omni2.audit_logs as raw
    where raw.change_xid >= (select newest.built_xmin from newest) and raw.timestamp is not null
    group by 1
),

held as (
    select
        {date_of_row} as usage_date,
        raw.user_id::integer as user_id,
        count(*) as rows_counted,
        coalesce(
            sum(raw.cost_usd) filter (where {possible_cost}), 0
        ) as cost_usd,
        coalesce(
            sum(raw.llm_tokens_used) filter (where {possible_total}), 0
        ) as tokens,
        coalesce(
            sum(raw.llm_tokens_used) filter (
                where {possible_total} and ({possible_cost}) is not true
            ), 0
        ) as unpriced
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join newest
    where
        raw.success
        and raw.user_id between -2147483648 and 2147483647
        and coalesce(raw.change_xid, 0) < newest.built_xmin
    group by 1, 2
)

select
    usage_date, user_id,
    batch.cost_recorded_usd::text as cost, held.cost_usd::text as cost_in_ledger,
    batch.tokens_used as tokens, held.tokens::text as tokens_in_ledger,
    batch.tokens_unpriced, held.unpriced::text as unpriced_in_ledger,
    batch.rows_counted, held.rows_counted as rows_in_ledger
from held
full join (select * from batch where usage_date = any({days})) as batch using (usage_date, user_id)
where
    coalesce(batch.cost_recorded_usd, 0) < held.cost_usd
    or coalesce(batch.tokens_used, 0) < held.tokens
    or coalesce(batch.tokens_unpriced, 0) < held.unpriced
    or coalesce(batch.rows_counted, 0) < held.rows_counted
    or (
        (
            batch.cost_recorded_usd > coalesce(held.cost_usd, 0)
            or batch.tokens_used > coalesce(held.tokens, 0)
            or batch.tokens_unpriced > coalesce(held.unpriced, 0)
            or batch.rows_counted > coalesce(held.rows_counted, 0)
        )
        and usage_date not in (select going_on.usage_date from going_on)
        and not exists (
            select 1
            from ledger.deleted_days as departed
            cross join newest
            where
                departed.source_table = 'audit_logs'
                and departed.change_xid >= newest.built_xmin
        )
    )
order by usage_date, user_id
"""

_OVERSPENT = """
select usage_date, user_id, cost_used_usd::text, cost_limit_usd::text, crossed_at::text
from batch
where overspend_usd > 0
order by usage_date desc, overspend_usd desc
"""

_UNPRICED = """
select usage_date, user_id, tokens_unpriced
from batch
where tokens_unpriced > 0
order by usage_date desc, tokens_unpriced desc
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the daily quota, those that stop first."""
    suite = ExpectationSuite(
        name="daily_quota",
        expectations=[
            *(never_null(c) for c in (*_KEY, "cost_limit_usd", "limit_basis")),
            all_known(_FIGURES, _KEY),
            unique("quota_key"),
            no_rows("Each day and user has one row", _DOUBLED),
            no_rows("Each figure is a number from zero up", _IMPOSSIBLE),
            no_rows(
                "Use, limit, crossing and overspend agree, to the last digit", _DOES_NOT_ADD_UP
            ),
            no_rows(
                "A limit is crossed on its own day",
                _CROSSED_ON_ANOTHER_DAY.format(date_of=scope.date_of("crossed_at")),
                column="crossed_at",
            ),
            no_rows(
                "Each limit is the one that was in force at the day's end",
                _LIMIT_NOT_IN_FORCE.format(
                    nobody=NOBODY,
                    days=literal(list(scope.days)) + "::date[]",
                    ends_at=scope.starts_at("usage_date + 1"),
                    is_kept=scope.is_kept("usage_date"),
                ),
                column="cost_limit_usd",
            ),
            no_rows(
                "The use of each day and user is what the ledger holds",
                _NOT_WHAT_THE_LEDGER_HOLDS.format(
                    periods=scope.range_rows(),
                    days=literal(list(scope.days)) + "::date[]",
                    date_of_row=scope.date_of("raw.timestamp"),
                    possible_cost=POSSIBLE.format("cost_usd"),
                    possible_total=POSSIBLE.format("llm_tokens_used"),
                ),
            ),
            *up_to_date(scope, "fct_daily_quota", "usage_date", "omni2.audit_logs"),
            no_rows("Nobody spent more than the limit", _OVERSPENT, severity="warn"),
            no_rows("The cost of all tokens that count is recorded", _UNPRICED, severity="warn"),
        ],
    )
    return (Judged(suite, mart="fct_daily_quota", key=_KEY),)
