"""What is unusual, though nothing contradicts it: days unlike those before. Only warnings.

A day's volume is compared with the same weekday's of up to twelve weeks before, where there are at
least four of them. It may lie within k times 1.4826 times the median absolute deviation (MAD) of
their median: 1.4826 makes that a standard deviation where days are scattered normally, and one odd
day among them moves neither. Chance alone scatters days by the root of their median (Poisson), so
the band is never narrower than k times that, nor than k: where none is usual, one is chance.
Looked at are yesterday and the days to be published that are over and at most five weeks old.

`ledger.settings` may hold other bounds than these:

- `gate_volume_band`, k: 5
- `gate_quiet_days`, how many whole days without a request are not remarked on: 1, or as many as
  there were at a stretch in the eight weeks before
- `gate_unknown_cost_share`, the share of a day's requests of which no cost is known: 0.05
"""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, no_rows
from expectations.scope import Scope, literal

_DAYS = """
select
    usage_date,
    sum(requests) as requests,
    sum(tool_calls) as tool_calls,
    sum(requests_cost_unknown) as requests_cost_unknown
from analytics_build.fct_daily_usage
group by usage_date
"""

# A day that the mart lacks was one without requests.
_UNUSUAL = """
with looked_at (usage_date) as (
    select distinct day
    from unnest({days} || ({today} - 1)) as days (day)
    where day < {today} and day >= {today} - 35
),

past as (
    select
        looked_at.usage_date,
        coalesce(before.{figure}, 0) as number
    from looked_at
    cross join generate_series(7, 84, 7) as back (days)
    cross join (select min(usage_date) as first_date from batch) as log
    left join batch as before on looked_at.usage_date - back.days = before.usage_date
    where looked_at.usage_date - back.days >= log.first_date
),

usual as (
    select
        usage_date,
        count(*) as weekdays,
        percentile_cont(0.5) within group (order by number) as median
    from past
    group by usage_date
    having count(*) >= 4
),

bands as (
    select
        usual.usage_date,
        usual.weekdays,
        usual.median,
        {band} * greatest(
            1.4826 * percentile_cont(0.5) within group (order by abs(past.number - usual.median)),
            sqrt(greatest(usual.median, 1))
        ) as half
    from usual
    inner join past using (usage_date)
    group by usual.usage_date, usual.weekdays, usual.median
)

select
    bands.usage_date,
    coalesce(batch.{figure}, 0)::bigint as {figure},
    round(greatest(bands.median - bands.half, 0)::numeric, 1)::text as at_least,
    round((bands.median + bands.half)::numeric, 1)::text as at_most,
    bands.weekdays
from bands
left join batch using (usage_date)
where abs(coalesce(batch.{figure}, 0) - bands.median) > bands.half
order by bands.usage_date desc
"""

_QUIET = """
with busy as (
    select usage_date, usage_date - lag(usage_date) over (order by usage_date) - 1 as quiet_days
    from batch
    where requests > 0 and usage_date <= {today}
),

last as (
    select
        max(usage_date) as last_date,
        max(quiet_days) filter (where usage_date > {today} - 56) as longest
    from busy
)

select last_date, {today} - last_date - 1 as quiet_days
from last
where {today} - last_date - 1 > greatest({quiet}, longest)
"""

_UNKNOWN = """
select usage_date, requests_cost_unknown::bigint, requests::bigint
from batch
where usage_date = any({days}) and requests_cost_unknown > {share} * requests
order by usage_date desc
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of days that look unlike others."""
    days, today = literal(list(scope.days)) + "::date[]", literal(scope.today)
    band = scope.number("gate_volume_band", "5")
    share = scope.number("gate_unknown_cost_share", "0.05")
    known = f"The cost of at most {(100 * share).normalize():f} % of a day's requests is unknown"
    suite = ExpectationSuite(
        name="anomalies",
        expectations=[
            *(
                no_rows(
                    f"Each day has about as many {words} as the same weekday before",
                    _UNUSUAL.format(days=days, today=today, figure=figure, band=f"{band:f}"),
                    severity="warn",
                    column=figure,
                )
                for figure, words in (("requests", "requests"), ("tool_calls", "tool calls"))
            ),
            no_rows(
                "Requests still come in",
                _QUIET.format(today=today, quiet=f"{scope.number('gate_quiet_days', '1'):f}"),
                severity="warn",
                column="requests",
            ),
            no_rows(
                known,
                _UNKNOWN.format(days=days, share=f"{share:f}"),
                severity="warn",
                column="requests_cost_unknown",
            ),
        ],
    )
    return (Judged(suite, query=_DAYS),)
