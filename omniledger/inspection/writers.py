"""Who writes each log, as far as PostgreSQL knows."""

from __future__ import annotations

import time
from typing import NamedTuple

from psycopg import sql

from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import HEALTH, LEDGER, Look

_NEWEST = 1_000
"""Of how many rows the systems that wrote them are counted."""

_INSERTED = """
    select n_tup_ins
    from pg_stat_user_tables
    where schemaname = %s and relname = %s
"""

_SYSTEMS = """
    select source_system, count(*)
    from (select source_system from omni2.audit_logs order by id desc limit %(newest)s) as newest
    group by 1
    order by 2 desc, 1
"""

# A lock that only writers take, and what a session did last, where we may see that.
_SESSIONS = """
    select
        coalesce(a.usename, '?'),
        coalesce(nullif(a.application_name, ''), '(no name)'),
        count(*),
        bool_or(
            exists (
                select from pg_locks as l
                inner join pg_class as c on l.relation = c.oid
                inner join pg_namespace as n on c.relnamespace = n.oid
                where
                    l.pid = a.pid
                    and l.granted
                    and l.mode = 'RowExclusiveLock'
                    and (n.nspname::text, c.relname::text)
                    in (select * from unnest(%(schemas)s::text [], %(names)s::text []))
            )
            or a.query ~* '\\m(insert\\s+into|update|delete\\s+from|copy)\\M.*\\m(audit_logs|mcp_health_log)\\M'
        )
    from pg_stat_activity as a
    where
        a.datname = current_database()
        and a.pid <> pg_backend_pid()
        -- of others' sessions not everybody sees what they are
        and coalesce(a.backend_type, 'client backend') = 'client backend'
        and a.usename is not null
    group by 1, 2
    order by 4 desc, 3 desc, 1, 2
"""  # noqa: E501

_ROLES = """
    select distinct coalesce(r.rolname::text, 'everybody')
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as g
    left join pg_roles as r on g.grantee = r.oid
    where n.nspname = %s and c.relname = %s and g.privilege_type = 'INSERT'
    order by 1
"""


class Session(NamedTuple):
    """Connections of one user and application; `writes` where one was seen to write a log."""

    user: str
    application: str
    connections: int
    writes: bool

    def __str__(self) -> str:
        more = f" ({self.connections} connections)" if self.connections > 1 else ""
        return f"{self.user} with {self.application}{more}"


def inserted(look: Look) -> dict[tuple[str, str], int]:
    """How many rows were ever inserted into each log, as the server counts."""
    counters = {}
    for name in (LEDGER, look.old_name, HEALTH):
        row = look.connection.execute(_INSERTED, name).fetchone()
        if row is not None:
            counters[name] = int(row[0] or 0)
    return counters


def watch(look: Look) -> None:
    """Wait until the inspection has looked for long enough, outside of any transaction."""
    while (left := look.watch_seconds - (time.monotonic() - look.began)) > 0:
        time.sleep(left)


def who(look: Look) -> Answer:
    """Inserts while the inspection looked, sessions, rights, and what the rows say themselves."""
    seconds = time.monotonic() - look.began
    told, figures = [], [Figure("seconds watched", round(seconds, 1))]
    for name, count in inserted(look).items():
        new = count - look.inserted_before.get(name, count)
        log = ".".join(name)
        roles = [row[0] for row in look.connection.execute(_ROLES, name)]
        told.append(f"{log}: {new:,} new rows in {seconds:.1f} s, writable by {', '.join(roles)}")
        figures.append(Figure(f"new rows in {log}", new, is_exact=False))
    told += _sessions(look, figures) + _systems(look, figures)
    return Answer(
        State.IN_ORDER,
        "; ".join(told) or "there is no log",
        "The server counts inserts about a second late; `--watch 10` looks longer.",
        figures=tuple(figures),
    )


def _sessions(look: Look, figures: list[Figure]) -> list[str]:
    logs = [LEDGER, look.old_name, HEALTH]
    query = sql.SQL(_SESSIONS)
    found = [
        Session(*row)
        for row in look.rows(query, schemas=[s for s, _ in logs], names=[n for _, n in logs])
    ]
    figures.append(Figure("connections", sum(session.connections for session in found)))
    writing = [str(session) for session in found if session.writes]
    others = [str(session) for session in found if not session.writes]
    told = [f"writing now: {', '.join(writing)}"] * bool(writing)
    return told + [f"connected: {', '.join(others[:10])}"] * bool(others)


def _systems(look: Look, figures: list[Figure]) -> list[str]:
    if "source_system" not in look.columns(LEDGER):
        return []
    rows = look.rows(_SYSTEMS, newest=None if look.is_exact else _NEWEST)
    figures += [Figure(f"newest rows by {system}", count) for system, count in rows]
    newest = "all" if look.is_exact else f"the newest {sum(count for _, count in rows):,}"
    told = ", ".join(f"{count:,} by {system}" for system, count in rows)
    return [f"of {newest} rows of the ledger: {told}"] if rows else []
