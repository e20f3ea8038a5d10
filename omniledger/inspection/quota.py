"""Who is over the day's limit: now, or once the upgrade makes the quota check work.

Where the check works, its own function is asked. Before, nobody was ever stopped: what the old log
recorded as today's cost is held against the limit of each user's role.
"""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import Legacy, inspect
from migrations.merge.statements import Statements
from migrations.merge.users import user_table
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.limits import Over, over_today
from omniledger.inspection.looking import LEDGER, Look

_SHOWN = 5

_BEFORE = """
    with day as (
        select
            (%(now)s at time zone %(zone)s)::date as day,
            (%(now)s at time zone %(zone)s)::date::timestamp at time zone %(zone)s as starts_at
    ),

    used as (
        select {person} as legacy_user_id, sum({cost}) as cost_usd
        from {legacy} as l
        where
            {time} >= (select starts_at from day)
            and {time} < (select starts_at + interval '1 day' from day)
            and l.success
            and {cost} between 0 and 1000000000000
            {not_merged}
        group by 1
    ),

    charged as (
        select g.user_id, sum(used.cost_usd) as cost_usd
        from used
        inner join ({who}) as g on used.legacy_user_id = g.legacy_user_id
        group by 1
    )

    select u.id, u.email, day.day, charged.cost_usd, said.cost_limit
    from charged
    cross join day
    inner join auth_service.users as u on charged.user_id = u.id
    cross join lateral (select coalesce({limit}, %(default)s) as cost_limit) as said
    where charged.cost_usd >= said.cost_limit
    order by charged.cost_usd - said.cost_limit desc, u.id
    limit 1000
"""

_ROLES_LIMIT = """
    (select r.cost_limit_daily::numeric from auth_service.roles as r where r.id = u.role_id)
"""

BY_EMAIL = """
    select u.id as legacy_user_id, min(g.id) as user_id
    from {users} as u
    inner join auth_service.users as g on lower(trim(g.email)) = lower(trim(u.email))
    group by u.id
    having count(*) = 1
"""
"""Who is who, as the upgrade finds it."""

_ONE_SPACE = "select id as legacy_user_id, id as user_id from auth_service.users"

_NOT_MERGED = "and not exists (select from omni2.audit_logs as a where a.legacy_id = l.id)"


def over(look: Look) -> Answer:
    """Who may not go on today, or may not once the check works."""
    if look.connection.execute(
        "select to_regprocedure('ledger.check_usage_limit(bigint, numeric)') is not null"
        if look.revision is not None
        else "select false"
    ).fetchone() == (True,):
        stopped = over_today(look.connection)
        evidence = f"{len(stopped):,} users: {_told(stopped)}" if stopped else "nobody"
        if not look.has_old_table:
            return Answer(State.IN_ORDER, evidence, "The check stops them.", "", _figures(stopped))
    legacy = _legacy(look)
    if legacy is None:
        return Answer(State.IN_ORDER, "nobody: there is no old log that says what was spent")
    found = _before(look, legacy)
    if not found:
        return Answer(State.IN_ORDER, "nobody, by the cost that the old log has of today")
    return Answer(
        State.DRIFT,
        f"{len(found):,} users: {_told(found)}",
        "Nobody stops them now; once the two logs are one, the quota check does. This is by the "
        "limits of roles alone, and by the cost that the old log recorded.",
        "Tell them, or raise their limits, before you upgrade.",
        _figures(found),
    )


def _legacy(look: Look) -> Legacy | None:
    needed = ({"id", "email", "role_id"}, look.columns(("auth_service", "users")))
    if not look.has_old_table or not needed[0] <= needed[1].keys():
        return None
    legacy = inspect(look.connection, look.settings.legacy_schema, must_own=False)
    if legacy is None or not {"cost_usd", "timestamp"} <= legacy.by_meaning.keys():
        return None
    return legacy if {"user_id", "success"} <= look.columns(look.old_name).keys() else None


def _before(look: Look, legacy: Legacy) -> list[Over]:
    users = user_table(look.connection, legacy)
    roles = look.columns(("auth_service", "roles"))
    is_merging = "legacy_id" in look.columns(LEDGER)
    query = sql.SQL(_BEFORE).format(
        legacy=Statements(legacy).table,
        cost=Statements(legacy).value("cost_usd"),
        who=sql.SQL(BY_EMAIL).format(users=sql.Identifier(*users))
        if users
        else sql.SQL(_ONE_SPACE),
        limit=sql.SQL(_ROLES_LIMIT if "cost_limit_daily" in roles else "null::numeric"),
        not_merged=sql.SQL(_NOT_MERGED if is_merging else ""),
        **Statements(legacy).meanings,
    )
    values = {
        "now": look.now,
        "zone": look.settings.reporting_timezone,
        "default": look.settings.default_cost_limit,
    }
    return [Over(*row) for row in look.rows(query, **values)]


def _told(users: list[Over]) -> str:
    more = f" and {len(users) - _SHOWN:,} more" if len(users) > _SHOWN else ""
    return ", ".join(map(str, users[:_SHOWN])) + more


def _figures(users: list[Over]) -> tuple[Figure, ...]:
    return (Figure("users over the limit", len(users)),)
