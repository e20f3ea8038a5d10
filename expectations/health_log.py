"""What should be true of the raw health log: which of its events the marts set aside.

An event that no figure can be made of is kept and left out, so that one wrong clock does not stop
what is published; these rules warn of it. Each server's are found by the index, however long the
log is.
"""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, no_rows
from expectations.scope import Scope

_SET_ASIDE = """
select raw.id, raw.mcp_server_id, raw.timestamp::text as dated, 'late' as problem
from analytics_build.dim_mcp_servers as servers
cross join (
    select
        coalesce(
            (select value::timestamptz from ledger.settings where name = 'as_of'), now()
        ) + interval '5 minutes' as latest_at
) as clock
inner join omni2.mcp_health_log as raw
    on raw.mcp_server_id = servers.mcp_server_id and raw.timestamp > clock.latest_at
union all
select raw.id, raw.mcp_server_id, raw.timestamp::text, 'early'
from analytics_build.dim_mcp_servers as servers
inner join omni2.mcp_health_log as raw
    on raw.mcp_server_id = servers.mcp_server_id and raw.timestamp < '2000-01-01 00:00+00'
union all
select raw.id, raw.mcp_server_id, null, 'timeless'
from analytics_build.dim_mcp_servers as servers
inner join omni2.mcp_health_log as raw
    on raw.mcp_server_id = servers.mcp_server_id and raw.timestamp is null
union all
select raw.id, raw.mcp_server_id, raw.timestamp::text, 'nameless'
from omni2.mcp_health_log as raw
where raw.mcp_server_id is null
"""

_PROBLEM = "select id, mcp_server_id, dated from batch where problem = '{problem}' order by id desc"

_SENTENCES = {
    "late": "No health event is dated later than now",
    "early": "No health event is dated before 2000",
    "timeless": "Every health event has a time",
    "nameless": "Every health event names a server",
}


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the events that are set aside; the clock may be five minutes wrong."""
    suite = ExpectationSuite(
        name="mcp_health_log",
        expectations=[
            no_rows(sentence, _PROBLEM.format(problem=problem), severity="warn")
            for problem, sentence in _SENTENCES.items()
        ],
    )
    return (Judged(suite, query=_SET_ASIDE),)
