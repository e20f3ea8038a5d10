"""What must be true of `dim_users` and `dim_mcp_servers`: who and what the figures are about."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite

from expectations.rules import Judged, between, never_null, no_rows, unique
from expectations.scope import Scope

_ENDS_BEFORE_IT_BEGINS = """
select mcp_server_id, first_event_at, last_event_at
from batch
where first_event_at > last_event_at or (first_event_at is null) <> (last_event_at is null)
"""

_NAMED_ALIKE = """
select mcp_server_name, count(*) as servers, min(mcp_server_id) as mcp_server_id
from batch
group by mcp_server_name
having count(*) > 1 and mcp_server_name is not null
"""

_NOT_CHECKED = """
select mcp_server_id, mcp_server_name, checks_verdict, last_event_at, check_interval_seconds
from batch
where checks_verdict in ('silent', 'never checked')
"""


def judged(scope: Scope) -> tuple[Judged, ...]:
    """The rules of the users and of the MCP servers."""
    users = ExpectationSuite(
        name="dim_users",
        expectations=[
            never_null("user_id"),
            unique("user_id"),
            between("cost_limit_daily_usd", 0, None, severity="warn"),
            never_null("email", severity="warn"),
        ],
    )
    servers = ExpectationSuite(
        name="dim_mcp_servers",
        expectations=[
            never_null("mcp_server_id"),
            unique("mcp_server_id"),
            no_rows("A server's last event is not before its first", _ENDS_BEFORE_IT_BEGINS),
            never_null("mcp_server_name", severity="warn"),
            no_rows(
                "No two servers have one name",
                _NAMED_ALIKE,
                severity="warn",
                column="mcp_server_name",
            ),
            no_rows(
                "Every server is checked",
                _NOT_CHECKED,
                severity="warn",
                column="checks_verdict",
            ),
        ],
    )
    return (
        Judged(users, mart="dim_users", key=("user_id",)),
        Judged(servers, mart="dim_mcp_servers", key=("mcp_server_id",)),
    )
