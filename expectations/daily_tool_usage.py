"""What must be true of `fct_daily_tool_usage`: tool calls by day, MCP server and tool."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.recount import HAS_FAILED, tools_recounted
from expectations.rules import Judged, all_known, between, never_null, no_rows, unique
from expectations.scope import Scope, literal
from expectations.staleness import up_to_date

_KEY = ("tool_usage_key", "usage_date", "mcp_server", "tool")

_DOUBLED = """
select usage_date, mcp_server, tool, count(*) as rows, min(tool_usage_key) as tool_usage_key
from batch
group by usage_date, mcp_server, tool
having count(*) > 1
"""

_MORE_THAN_CALLS = """
select tool_usage_key, usage_date, mcp_server, tool, calls, figure, value
from batch
cross join lateral (
    values ('errors', errors), ('blocked', blocked), ('users', users)
) as figures (figure, value)
where greatest(errors, blocked, users) > calls and value > calls
"""

_DURATIONS_OUT_OF_ORDER = """
select tool_usage_key, usage_date, mcp_server, tool, p50_duration_ms, p95_duration_ms
from batch
where p50_duration_ms < 0 or p50_duration_ms > p95_duration_ms
"""

_DAYS_TO_COME = """
select tool_usage_key, usage_date, mcp_server, tool, calls
from batch
where usage_date > {today}
"""

# The ledger goes on while the figures are judged, so its rows give bounds: a row from before the
# mart was built must be counted, a later one may be. The bounds meet where nothing was written
# since. A day that lost rows since has no upper bound.
_CALLS_LOST_OR_INVENTED = """
with periods (from_at, until_at) as (
    {periods}
),

newest (built_xmin) as (
    select
        coalesce(
            (select max(built_xmin) from batch),
            (select max(built_xmin) from analytics_build.control_totals)
        )
),

days as (
    select
        usage_date,
        sum(calls) as calls,
        sum(errors) as errors,
        sum(blocked) as blocked,
        min(built_xmin) as built_xmin
    from batch
    group by usage_date
),

rows_then as (
    select
        {date_of_row} as usage_date,
        raw.tool_called is not null as is_call,
        coalesce(raw.was_blocked, false) as is_blocked,
        {has_failed} as has_failed,
        coalesce(raw.change_xid, 0) < newest.built_xmin as is_sure
    from periods
    inner join omni2.audit_logs as raw
        on raw.timestamp >= periods.from_at and raw.timestamp < periods.until_at
    cross join newest
),

ledger_days as (
    select
        usage_date,
        count(*) filter (where is_sure and is_call) as at_least,
        count(*) filter (where is_sure and is_call and has_failed and not is_blocked)
            as errors_at_least,
        count(*) filter (where is_sure and is_call and is_blocked) as blocked_at_least,
        count(*) filter (where not is_sure) as maybe
    from rows_then
    group by 1
)

select
    coalesce(days.usage_date, ledger_days.usage_date) as usage_date,
    days.calls::bigint as calls,
    ledger_days.at_least as calls_in_ledger,
    days.errors::bigint as errors,
    ledger_days.errors_at_least as errors_in_ledger,
    days.blocked::bigint as blocked,
    ledger_days.blocked_at_least as blocked_in_ledger
from days
full join ledger_days using (usage_date)
where
    coalesce(days.calls, 0) < ledger_days.at_least
    or coalesce(days.errors, 0) < ledger_days.errors_at_least
    or coalesce(days.blocked, 0) < ledger_days.blocked_at_least
    or (
        days.usage_date = any({days})
        and (
            coalesce(ledger_days.at_least + ledger_days.maybe, 0) < days.calls
            or coalesce(ledger_days.errors_at_least + ledger_days.maybe, 0) < days.errors
            or coalesce(ledger_days.blocked_at_least + ledger_days.maybe, 0) < days.blocked
        )
        and not exists (
            select 1
            from ledger.deleted_days as departed
            where
                departed.source_table = 'audit_logs'
                and departed.change_xid >= days.built_xmin
                and (
                    departed.period_start = '-infinity'
                    or {date_of_departed} = days.usage_date
                )
        )
    )
order by 1
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the daily tool usage."""
    suite = ExpectationSuite(
        name="daily_tool_usage",
        expectations=[
            *(never_null(c) for c in ("tool_usage_key", "usage_date", "tool", "calls")),
            *(never_null(c) for c in ("built_at", "built_xmin")),
            all_known(("errors", "blocked", "users"), _KEY),
            unique("tool_usage_key"),
            no_rows("Each day, server and tool has one row", _DOUBLED),
            *(between(c, 0, None) for c in ("calls", "errors", "blocked", "users")),
            no_rows("No part of the calls exceeds them", _MORE_THAN_CALLS),
            no_rows("The median lasts from zero to the 95th percentile", _DURATIONS_OUT_OF_ORDER),
            no_rows("Each day has the tool calls that the ledger has", _calls(scope)),
            tools_recounted(scope),
            *up_to_date(scope, "fct_daily_tool_usage", "usage_date", "omni2.audit_logs"),
            no_rows(
                "No day lies in the future",
                _DAYS_TO_COME.format(today=literal(scope.today)),
                column="usage_date",
            ),
        ],
    )
    return (Judged(suite, mart="fct_daily_tool_usage", key=_KEY),)


def _calls(scope: Scope) -> str:
    return _CALLS_LOST_OR_INVENTED.format(
        periods=scope.range_rows(),
        days=literal(list(scope.days)) + "::date[]",
        date_of_row=scope.date_of("raw.timestamp"),
        date_of_departed=scope.date_of("departed.period_start"),
        has_failed=HAS_FAILED,
    )
