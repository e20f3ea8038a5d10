"""Requests that both systems logged, among the newest of the old log."""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import inspect
from migrations.merge.old_rows import OldRows
from migrations.merge.users import user_table, who_is_who
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import LEDGER, Look

_NEWEST = 1_000
"""How many old rows are looked at."""

# The same person and text within the merge's window of time; which of several is the one, the
# merge decides.
_DOUBLED = """
    select count(*), count(*) filter (where is_doubled)
    from (
        select
            exists (
                select from omni2.audit_logs as g
                where
                    g.user_id = said.user_id
                    and g.question = {text}
                    and g.timestamp
                    between {time} - %(window)s * interval '1 second'
                    and {time} + %(window)s * interval '1 second'
                    {of_gateway}
            ) as is_doubled
        from (select * from {legacy} order by id desc limit %(newest)s) as l
        left join ({who}) as said on {person} = said.legacy_user_id
    ) as looked
"""


def logged_twice(look: Look) -> Answer:
    """Whether a sum over both logs would count requests twice."""
    if not look.has_old_table:
        return Answer(State.IN_ORDER, "there is one log")
    if not {"user_id", "question", "timestamp"} <= look.columns(LEDGER).keys():
        return Answer(State.IN_ORDER, "the gateway logs no requests")
    if not {"id", "email"} <= look.columns(("auth_service", "users")).keys():
        return Answer(State.IN_ORDER, "the gateway has no users, so that nobody is in both")
    legacy = inspect(look.connection, look.settings.legacy_schema, must_own=False)
    if legacy is None:
        return Answer(State.IN_ORDER, "there is one log")
    old = OldRows(legacy)
    query = sql.SQL(_DOUBLED).format(
        legacy=old.table,
        who=who_is_who(user_table(look.connection, legacy)),
        of_gateway=sql.SQL(
            "and g.source_system = 'gateway'" if "source_system" in look.columns(LEDGER) else ""
        ),
        **old.meanings,
    )
    window = look.settings.match_window_seconds
    newest = None if look.is_exact else _NEWEST
    [(looked, doubled)] = look.rows(query, window=window, newest=newest)
    figures = (
        Figure("old rows looked at", looked),
        Figure("also in the gateway's log", doubled, look.is_exact or looked < _NEWEST),
    )
    of = f"of the {'' if look.is_exact else 'newest '}{looked:,} old rows"
    if not doubled:
        return Answer(State.IN_ORDER, f"none {of}", figures=figures)
    return Answer(
        State.DRIFT,
        f"{doubled:,} {of} are in the gateway's log too",
        f"Same person and text within {window} s: whoever adds up both logs counts them twice.",
        look.way_on,
        figures,
    )
