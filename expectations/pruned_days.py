"""What should be true of days whose raw rows were removed: that nothing more is written to them.

Their figures stay as they were published, so what comes later is in none; these rules warn of it.
"""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, no_rows
from expectations.scope import Scope

# A transaction that is yet to come is of another cluster, from which the row was restored.
_LATE = """
select raw.id, raw.timestamp::text as dated, '{table}' as written_to
from omni2.{table} as raw
where
    raw.timestamp >= {since}
    and raw.timestamp < (select max(newest.before_at) from ledger.prunings as newest)
    and raw.change_xid >= (
        select frozen.built_xmin
        from ledger.prunings as frozen
        where raw.timestamp < frozen.before_at
        order by frozen.before_at
        limit 1
    )
    and raw.change_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""

_OF = "select id, dated from batch where written_to = '{table}' order by id desc"


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of days that are never built again."""
    suite = ExpectationSuite(
        name="pruned_days",
        expectations=[
            no_rows(
                "No request came for a day whose rows were removed",
                _OF.format(table="audit_logs"),
                severity="warn",
            ),
            no_rows(
                "No health event came for a day whose rows were removed",
                _OF.format(table="mcp_health_log"),
                severity="warn",
            ),
        ],
    )
    late = (
        _LATE.format(table="audit_logs", since="'0001-01-03 00:00+00'"),
        _LATE.format(table="mcp_health_log", since="'2000-01-01 00:00+00'"),
    )
    return (Judged(suite, query="union all".join(late)),)
