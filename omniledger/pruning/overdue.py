"""Whether old raw rows stay that the settings would have removed by now."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from psycopg import sql

from omniledger.database import Connection
from omniledger.pruning.raw import AUDIT, HEALTH, first_kept, starts_at
from omniledger.settings import Settings

WAY_OUT = (
    "`omniledger prune` removes them, or says what has to be judged, published or billed first"
)

_PATIENCE_DAYS = 1
"""How long after its day a removal may still be to come: they are made once a night."""

# What stayed behind a removal that has ended stays for good. Each least time is one step down an
# index, however many rows there are; of checks it is the one that begins with the server.
_OLDEST = """
    with reached as (
        select max(before_at) as at from ledger.prunings where finished_at is not null
    )

    select
        least(
            (
                select min(timestamp) from omni2.audit_logs
                where
                    timestamp >= greatest({audit_since}, (select at from reached))
                    and timestamp < %(due_at)s
            ),
            (
                select min(oldest.at)
                from omni2.mcp_servers as s
                cross join lateral (
                    select min(h.timestamp) as at from omni2.mcp_health_log as h
                    where
                        h.mcp_server_id = s.id
                        and h.timestamp >= greatest({health_since}, (select at from reached))
                        and h.timestamp < %(due_at)s
                ) as oldest
            )
        )
"""


def overdue_since(connection: Connection, settings: Settings) -> date | None:
    """The first reporting day whose raw rows should have gone, a day's patience apart.

    None where all did, or nothing says how old rows may get.
    """
    if settings.raw_keep_days is None:
        return None
    zone = settings.reporting_timezone
    due = first_kept(connection, settings, settings.raw_keep_days + _PATIENCE_DAYS)
    query = sql.SQL(_OLDEST).format(
        audit_since=sql.Literal(AUDIT.since), health_since=sql.Literal(HEALTH.since)
    )
    [(oldest,)] = connection.execute(query, {"due_at": starts_at(due, zone)}).fetchall()
    return None if oldest is None else oldest.astimezone(ZoneInfo(zone)).date()
