"""Who is over the day's limit: now, or once the upgrade makes the quota check work.

Where the check works, its own function is asked. Before, nobody was ever stopped: what the old log
recorded as today's cost is held against the limit of each user's role.
"""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import Legacy, inspect
from migrations.merge.old_rows import OldRows
from migrations.merge.users import user_table, who_is_who
from migrations.placing import bare
from omniledger.counting import plural
from omniledger.inspection.findings import Answer, Figure, State, first_few
from omniledger.inspection.limits import Over, over_today
from omniledger.inspection.looking import LEDGER, Look

_BEFORE = """
    with day as (
        select
            (%(now)s at time zone %(zone)s)::date as day,
            -- about the day, for indexes; where clocks change it has an hour more or less
            (%(now)s at time zone %(zone)s)::date::timestamp at time zone %(zone)s
            - interval '1 hour' as after
    ),

    used as (
        select {person} as legacy_user_id, sum({cost}) as cost_usd
        from {legacy} as l
        where
            {time} >= (select after from day)
            and {time} < (select after + interval '27 hours' from day)
            and ({time} at time zone %(zone)s)::date = (select day.day from day)
            and l.success
            and {cost} between 0 and 1000000000000
        group by 1
    ),

    charged as (
        select user_id, sum(cost_usd) as cost_usd
        from (
            select g.user_id, used.cost_usd
            from used
            inner join ({who}) as g on used.legacy_user_id = g.legacy_user_id
            {and_gateway}
        ) as both_logs
        group by 1
    )

    select u.id, u.email, day.day, charged.cost_usd, said.cost_limit
    from charged
    cross join day
    inner join auth_service.users as u on charged.user_id = u.id
    cross join lateral (
        select greatest(coalesce({limit}, %(default)s), 0) as cost_limit
    ) as said
    where charged.cost_usd >= said.cost_limit
    order by charged.cost_usd - said.cost_limit desc, u.id
    limit 1000
"""

_ROLES_LIMIT = """
    (select r.cost_limit_daily::numeric from auth_service.roles as r where r.id = u.role_id)
"""

_AND_GATEWAY = """
            union all
            select a.user_id, a.cost_usd::numeric
            from omni2.audit_logs as a
            where
                a.timestamp >= (select after from day)
                and a.timestamp < (select after + interval '27 hours' from day)
                and (a.timestamp at time zone %(zone)s)::date = (select day.day from day)
                and a.user_id is not null
                and a.success
                and a.cost_usd::numeric between 0 and 1000000000000
                {own}
"""

# What is merged already is in the old log still.
_OWN = "and a.legacy_id is null"


def over(look: Look) -> Answer:
    """Who may not go on today, or may not once the check works."""
    if not look.has_old_table and look.has_ledger:
        return _by_check(look)
    legacy = _legacy(look)
    if legacy is None:
        return Answer(State.IN_ORDER, "nobody: there is no old log that says what was spent")
    found = _before(look, legacy)
    if not found:
        return Answer(State.IN_ORDER, "nobody, by the costs that are recorded of today")
    return Answer(
        State.DRIFT,
        f"{plural(len(found), 'user')}: {first_few(found)}",
        "Nobody stops them now; once the two logs are one, the quota check does. This is by the "
        "limits of roles alone, and by the costs that are recorded.",
        "Tell them, or raise their limits, before you upgrade.",
        _figures(found),
    )


def _by_check(look: Look) -> Answer:
    query = "select to_regprocedure('ledger.check_usage_limit(bigint, numeric)') is not null"
    if look.connection.execute(query).fetchone() != (True,):
        return Answer(
            State.CANNOT_TELL,
            "the upgrade is half way: the old log is merged, and the check is not there yet",
            advice="Run `alembic upgrade head`, which goes on where it was.",
        )
    stopped = over_today(look.connection)
    evidence = f"{plural(len(stopped), 'user')}: {first_few(stopped)}" if stopped else "nobody"
    return Answer(State.IN_ORDER, evidence, "The check stops them.", "", _figures(stopped))


def _legacy(look: Look) -> Legacy | None:
    needed = ({"id", "email", "role_id"}, look.columns(("auth_service", "users")))
    if not look.has_old_table or not needed[0] <= needed[1].keys():
        return None
    legacy = inspect(look.connection, look.settings.legacy_schema, must_own=False)
    if legacy is None or not {"cost_usd", "timestamp"} <= legacy.by_meaning.keys():
        return None
    return legacy if {"user_id", "success"} <= look.columns(look.old_name).keys() else None


def _before(look: Look, legacy: Legacy) -> list[Over]:
    roles = look.columns(("auth_service", "roles"))
    old = OldRows(legacy)
    query = sql.SQL(_BEFORE).format(
        legacy=old.table,
        cost=old.cost,
        who=who_is_who(user_table(look.connection, legacy)),
        limit=sql.SQL(_ROLES_LIMIT if "cost_limit_daily" in roles else "null::numeric"),
        and_gateway=sql.SQL(_gateway(look)),
        **old.meanings,
    )
    values = {
        "now": look.now,
        "zone": look.settings.reporting_timezone,
        "default": look.settings.default_cost_limit,
    }
    return [Over(*row) for row in look.rows(query, **values)]


def _gateway(look: Look) -> str:
    """The costs that the gateway's own log has, where it has any already."""
    columns = look.columns(LEDGER)
    if bare(columns.get("cost_usd", "")) not in ("numeric", "double precision", "real"):
        return ""
    return _AND_GATEWAY.format(own=_OWN if "legacy_id" in columns else "")


def _figures(users: list[Over]) -> tuple[Figure, ...]:
    return (Figure("users over the limit", len(users)),)
