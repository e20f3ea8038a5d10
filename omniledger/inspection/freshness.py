"""Whether each MCP server is still checked, asked of the live health log.

The same rule as `dim_mcp_servers` has, but without models: it answers before there are any.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from omniledger.database import Connection
from omniledger.masking import masked
from omniledger.moments import in_utc
from omniledger.settings import Settings

# Servers of one name are told apart by their numbers, as on the report.
# `to_jsonb` reads columns that a gateway may lack; words are compared as the models compare them.
# What is read of several times is materialized, or each time would ask anew.
_FRESHNESS = r"""
with servers as (
    select
        id,
        case
            when btrim(name) = '' or name is null then 'server ' || id
            when count(*) over (partition by name) > 1 then name || ' (' || id || ')'
            else name
        end as name,
        substring(
            coalesce(
                to_jsonb(s.*) ->> 'health_check_interval_seconds',
                to_jsonb(s.*) ->> 'health_check_interval'
            )
            from '^\s*(\d{1,5}(?:\.\d+)?)\s*$'
        )::numeric as stated
    from omni2.mcp_servers as s
),

seen as materialized (
    select
        servers.*,
        (
            select max(h.timestamp)
            from omni2.mcp_health_log as h
            where h.mcp_server_id = servers.id
                and h.timestamp >= '2000-01-01 00:00+00' and h.timestamp <= %(now)s
        ) as last_at,
        (
            select max(h.id + 0)  -- else the planner would walk down all ids
            from omni2.mcp_health_log as h
            where h.mcp_server_id = servers.id
                and h.timestamp > %(now)s + %(interval)s * interval '1 second'
        ) as id_ahead
    from servers
),

expected as materialized (
    select
        seen.*,
        coalesce(
            case when stated between 1 and 86400 then round(stated)::integer end,
            (
                select case when count(*) >= 5 then least(greatest(
                    round(percentile_disc(0.5) within group (order by gap) / 30) * 30, 30
                ), 21600)::integer end
                from (
                    select extract(epoch from at - lag(at) over (order by at)) as gap
                    from (
                        select date_trunc('second', h.timestamp) as at
                        from omni2.mcp_health_log as h
                        where
                            h.mcp_server_id = seen.id
                            and h.timestamp >= seen.last_at - interval '2 days'
                            and h.timestamp <= %(now)s
                            and coalesce(
                                nullif(
                                    translate(
                                        lower(h.event_type::text collate "C"), E' \t\r\n_-', ''
                                    ),
                                    ''
                                ) like 'healthcheck%%',
                                true
                            )
                        order by h.timestamp desc
                        limit 100
                    ) as checks
                ) as gaps
                where gap > 0
            ),
            %(interval)s
        ) as interval_seconds,
        last_event.state,
        last_event.error_message
    from seen
    left join lateral (
        select state, error_message
        from (
            select
                case
                    when word in (
                        'healthy', 'load', 'startup', 'healthchecksuccess', 'recoverysuccess'
                    ) then 'up'
                    when word in ('disabled', 'maintenance', 'shutdown') then 'disabled'
                    else 'down'
                end as state,
                error_message
            from (
                select
                    nullif(btrim(left(h.error_message, 1000)), '') as error_message,
                    coalesce(
                        nullif(translate(lower(h.status::text collate "C"), E' \t\r\n_-', ''), ''),
                        translate(lower(h.event_type::text collate "C"), E' \t\r\n_-', '')
                    ) as word
                from omni2.mcp_health_log as h
                where h.mcp_server_id = seen.id and h.timestamp = seen.last_at
            ) as worded
        ) as judged
        -- of several at once the worst counts, as in the models
        order by state = 'up', state = 'disabled', error_message
        limit 1
    ) as last_event on true
),

-- the same clock may have dated what was noted before an event of the future
trusted as (
    select
        *,
        id_ahead is not null and not exists (
            select 1
            from omni2.mcp_health_log as h
            where h.mcp_server_id = expected.id
                and h.timestamp
                >= %(now)s - interval_seconds * %(factor)s * interval '1 second'
                and h.timestamp <= %(now)s
                and h.id > id_ahead
        ) as is_ahead
    from expected
)

select
    id,
    name,
    last_at,
    interval_seconds,
    case
        when last_at is null then 'never checked'
        when state = 'disabled' then 'disabled'
        when last_at < %(now)s - interval_seconds * %(factor)s * interval '1 second' then 'silent'
        when is_ahead then 'silent'
        else 'running'
    end,
    state,
    error_message,
    is_ahead
from trusted
order by last_at nulls first, name
"""


class Checks(NamedTuple):
    """When a server was last noticed, how often it should be (s), and what that means.

    `state` is what the last event said: `up`, `down` or `disabled`. `is_ahead` where the last
    events noted are dated in the future, so that `last_at` may be long ago.
    """

    server_id: int
    name: str
    last_at: datetime | None
    interval_seconds: int
    verdict: str
    state: str | None = None
    last_error: str | None = None
    is_ahead: bool = False

    @property
    def is_missed(self) -> bool:
        """Whether checks should come, and don't."""
        return self.verdict in ("silent", "never checked")

    @property
    def told(self) -> str:
        """The verdict, the last event and how often there should be one."""
        last = "never" if self.last_at is None else self.last_at.astimezone(UTC).isoformat()
        return f"{self.verdict}, last noted {last}, due every {self.interval_seconds} s"

    def __str__(self) -> str:
        if self.is_ahead:
            return f"{self.name} (events dated in the future hide its last check)"
        if self.last_at is None:
            return f"{self.name} (never)"
        return f"{self.name} (last {in_utc(self.last_at)}, due every {self.interval_seconds} s)"


def freshness(connection: Connection, now: datetime, settings: Settings) -> list[Checks]:
    """Every server that the gateway knows, the longest silent first.

    Events dated after `now` have not happened yet.
    """
    with connection.transaction():
        # A server's newest 100 are at the end of the index, and two days of it are many more.
        connection.execute("set local enable_bitmapscan = off")
        rows = connection.execute(
            _FRESHNESS.encode(),
            {
                "now": now,
                "interval": settings.health_check_interval_seconds,
                "factor": settings.health_hold_factor,
            },
        ).fetchall()
        connection.execute("set local enable_bitmapscan to default")
    return [_without_passwords(Checks(*row)) for row in rows]


def _without_passwords(checks: Checks) -> Checks:
    """What a server said of its error goes to channels and screens, up to 500 characters.

    A password is known by what stands behind it, so twice as many are read.
    """
    said = checks.last_error
    return checks if said is None else checks._replace(last_error=masked(said)[:500])
