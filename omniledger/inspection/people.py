"""Users under the old name who are nobody among the gateway's."""

from __future__ import annotations

import psycopg
from psycopg import sql

from migrations.legacy import Legacy
from migrations.merge.users import ADDRESSES, user_table
from omniledger.counting import plural
from omniledger.inspection.findings import Answer, Figure, State, first_few
from omniledger.inspection.looking import Look, TooDear
from omniledger.merging.status import unmapped_users

_SHOWN = 5

_BEFORE = """
    select u.id, u.email
    from {users} as u
    left join (
        select {gateways} as email, count(*) as namesakes
        from auth_service.users as g
        group by 1
    ) as g on {olds} = g.email
    where g.namesakes is distinct from 1 {wrote}
    order by u.id
"""

_WROTE = "and exists (select from {log} as l where l.user_id = u.id)"

_CERTIFIED = "select users_unmapped from ledger.merge_runs where holds order by id desc limit 1"


def unknown(look: Look) -> Answer:
    """Whose requests are charged to nobody."""
    if not look.has_old_table:
        return _after(look)
    legacy = Legacy(look.settings.legacy_schema, ())
    users = user_table(look.connection, legacy)
    if users is None:
        return Answer(State.IN_ORDER, "both logs number users alike")
    if "user_id" not in look.columns(look.old_name):
        return Answer(State.IN_ORDER, "the old log names nobody")
    if not {"id", "email"} <= look.columns(("auth_service", "users")).keys():
        return Answer(State.DRIFT, "the gateway has no users yet", advice="Run the gateway first.")
    parts = {"users": sql.Identifier(*users), "log": sql.SQL(legacy.relation), **ADDRESSES}
    try:
        query = sql.SQL(_BEFORE).format(wrote=sql.SQL(_WROTE).format(**parts), **parts)
        found, who = look.rows(query), "who wrote"
    except TooDear:
        found, who = look.rows(sql.SQL(_BEFORE).format(wrote=sql.SQL(""), **parts)), "in all"
    figures = (Figure("unknown users", len(found), is_exact=who == "who wrote"),)
    if not found:
        return Answer(State.IN_ORDER, "everybody, by e-mail", figures=figures)
    told = first_few([f"{email or '(no e-mail)'} ({old_id})" for old_id, email in found])
    be = "is" if len(found) == 1 else "are"
    return Answer(
        State.DRIFT,
        f"{plural(len(found), 'user')} {who} {be} nobody's e-mail at the gateway, or several "
        f"people's: {told}",
        "Their requests are merged, charged to nobody, and not found where both logs have them.",
        "Upgrade with `alembic -x merge=later upgrade head`, say who they are with `omniledger "
        "users map`, then run `omniledger merge run`.",
        figures,
    )


def _after(look: Look) -> Answer:
    """The users of rows in the ledger; those that the certificate counted are known of."""
    if not look.has_ledger:
        return Answer(State.IN_ORDER, "there is no old log")
    try:
        with look.connection.transaction():
            row = look.connection.execute(_CERTIFIED).fetchone()
            found = unmapped_users(look.connection)
    except psycopg.errors.UndefinedFunction:
        return Answer(State.IN_ORDER, "there is no old log")
    known = int(row[0] or 0) if row else 0
    figures = (Figure("unknown users", len(found)), Figure("known of since the merge", known))
    if not found:
        return Answer(State.IN_ORDER, "everybody", figures=figures)
    ids = ", ".join(map(str, found[:_SHOWN])) + (" …" if len(found) > _SHOWN else "")
    who_are = plural(len(found), "user under the old name is", "users under the old name are")
    told = f"{who_are} nobody at the gateway (old id {ids})"
    if len(found) <= known:
        return Answer(State.IN_ORDER, f"{told}, as was certified", figures=figures)
    return Answer(
        State.DRIFT,
        f"{told}; {min(known, len(found)):,} were so at the merge",
        "Their requests are charged to nobody.",
        "See `omniledger users list --unmapped`, and say who they are with `omniledger users map`.",
        figures,
    )
