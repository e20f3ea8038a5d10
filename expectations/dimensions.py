"""What must be true of `dim_users` and `dim_mcp_servers`: who and what the figures are about."""

from __future__ import annotations

from great_expectations.core import ExpectationSuite
from great_expectations.expectations.expectation import Expectation

from expectations.rules import Judged, between, never_null, no_rows, unique
from expectations.scope import Scope, literal

# The first alone is known where old rows were removed, and the others went with their server.
_ENDS_BEFORE_IT_BEGINS = """
select mcp_server_id, first_event_at, last_event_at
from batch
where first_event_at > last_event_at or (first_event_at is null and last_event_at is not null)
"""

_VERDICTS = """
select mcp_server_id, mcp_server_name, checks_verdict, last_event_at
from batch
where
    (
        checks_verdict in ('running', 'silent', 'disabled', 'deleted', 'never checked')
        and (checks_verdict <> 'never checked' or last_event_at is null)
        and (checks_verdict not in ('running', 'silent', 'disabled') or last_event_at is not null)
    ) is not true
"""

_NAMED_ALIKE = """
select mcp_server_name, count(*) as servers, min(mcp_server_id) as mcp_server_id
from batch
group by mcp_server_name
having count(*) > 1 and mcp_server_name is not null
"""

_USERS_GONE = """
select published.user_id, published.display_name
from analytics.dim_users as published
inner join auth_service.users as known on published.user_id = known.id
where published.user_id not in (select user_id from batch where user_id is not null)
"""

# Who was added since the build has no request from before the run; ids beyond an integer are
# nobody's in the figures.
_USERS_MISSING = """
select known.id as user_id
from auth_service.users as known
where
    known.id between -2147483648 and 2147483647
    and known.id not in (select user_id from batch where user_id is not null)
    and exists (
        select 1
        from omni2.audit_logs as raw
        where raw.user_id = known.id and coalesce(raw.change_xid, 0) < {began}
    )
"""

# The mart of health is built after this one, of its servers.
_SERVERS_GONE = """
select health.mcp_server_id, max(health.health_date) as last_date
from analytics_build.fct_daily_health as health
where
    health.mcp_server_id not in (
        select mcp_server_id from batch where mcp_server_id is not null
    )
    and exists (
        select 1
        from omni2.mcp_health_log as raw
        where raw.mcp_server_id = health.mcp_server_id
    )
group by health.mcp_server_id
"""

# Where the clock of a gateway is ahead, an event waits until its time has come.
_EVENTS_MISSED = """
select servers.mcp_server_id, servers.last_event_at::text, missed.timestamp::text as event_at
from batch as servers
cross join lateral (
    select raw.timestamp
    from omni2.mcp_health_log as raw
    where
        raw.mcp_server_id = servers.mcp_server_id
        and raw.timestamp > servers.last_event_at
        and raw.timestamp <= least(
            {began_at}::timestamptz,
            (select value::timestamptz from ledger.settings where name = 'as_of')
        )
        and raw.change_xid < {began}
    order by raw.timestamp desc
    limit 1
) as missed
"""

# The name of one that was deleted went with it.
_NAMELESS = """
select mcp_server_id, mcp_server_name, checks_verdict, last_event_at
from batch
where mcp_server_name is null and checks_verdict <> 'deleted'
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
            *_users_missing(scope),
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
            no_rows("A server's verdict agrees with its events", _VERDICTS),
            no_rows("No server of the health log is missing", _SERVERS_GONE),
            between("check_interval_seconds", 1, None),
            *_events_missed(scope),
            no_rows(
                "Every server has a name",
                _NAMELESS,
                severity="warn",
                column="mcp_server_name",
            ),
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


def _users_missing(scope: Scope) -> list[Expectation]:
    rules = []
    if scope.has_users and "dim_users" in scope.published_xmin:
        rules.append(no_rows("No user whom the gateway still has is gone", _USERS_GONE))
    if scope.has_users and scope.began is not None:
        missing = _USERS_MISSING.format(began=scope.began.xmin)
        rules.append(no_rows("No user with a request from before the run is missing", missing))
    return rules


def _events_missed(scope: Scope) -> list[Expectation]:
    if scope.began is None:
        return []
    missed = _EVENTS_MISSED.format(began_at=literal(scope.began.at), began=scope.began.xmin)
    return [no_rows("A server's last event is the last from before the run", missed)]
