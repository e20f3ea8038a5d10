"""Whether figures are published."""

from __future__ import annotations

import psycopg

from omniledger.database import Connection
from omniledger.forcing import standing_force
from omniledger.history import FRESHNESS
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import Look
from omniledger.moments import in_utc
from omniledger.turns import IS_AT_WORK, LOCK

_LAST_RUN = """
    select verdict, reason, started_at
    from ledger.runs
    where verdict <> 'running'
    order by started_at desc
    limit 1
"""

_UNENDED = """
    select
        run_id,
        'the run of ' || to_char(started_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')
        || ' UTC was killed before it ended; the next one makes up for it'
    from ledger.runs
    where verdict = 'running'
    order by started_at desc
    limit 1
"""


def published(look: Look) -> Answer:
    """What became of the last run that has ended, and whether a daily one is missing since."""
    is_at_work = look.row_if_there(_UNENDED) is not None
    if is_at_work and (sentence := killed(look.connection)) is not None:
        return Answer(
            State.DRIFT,
            sentence,
            _what_readers_see(look),
            "Run `omniledger run`.",
            (Figure("verdict", "killed"),),
        )
    row = look.row_if_there(_LAST_RUN)
    if row is None:
        if is_at_work:
            return Answer(State.DRIFT, "the first run is at work", advice="Wait for its end.")
        return Answer(State.DRIFT, "no run yet", advice="Run `omniledger run`.")
    verdict, reason, at = row
    evidence = f"the run of {in_utc(at)} was {verdict}"
    figures = (Figure("verdict", verdict), Figure("started at", at.isoformat()))
    if verdict != "published":
        return Answer(
            State.DRIFT,
            f"{evidence}: {reason}",
            _what_readers_see(look),
            "Mend what it names and run `omniledger run`.",
            figures,
        )
    if (fresh := look.row_if_there(FRESHNESS)) is not None and fresh[2]:
        return Answer(
            State.DRIFT,
            f"{evidence}, and no figures since {in_utc(fresh[0])}",
            "Readers see figures that end there.",
            "Look whether `omniledger schedule` is on, or run `omniledger run`.",
            figures,
        )
    return Answer(State.IN_ORDER, evidence, figures=figures)


def killed(connection: Connection) -> str | None:
    """That the last run was killed: it has not ended, and nobody holds its lock.

    It is looked at before and after its lock, for a run may end or begin at this very moment.
    """
    before = connection.execute(_UNENDED).fetchone()
    if before is None or connection.execute(IS_AT_WORK, {"lock": LOCK}).fetchone() == (True,):
        return None
    return str(before[1]) if connection.execute(_UNENDED).fetchone() == before else None


def _what_readers_see(look: Look) -> str:
    try:
        with look.connection.transaction():
            forced = standing_force(look.connection)
    except psycopg.errors.UndefinedTable:
        # The upgrade to where it is kept is still to come.
        forced = None
    if forced is None:
        return "Readers see the figures of the last run that was published."
    return (
        f"Readers see figures that the gate refused: {forced.by} published them by force at "
        f"{in_utc(forced.at)}, because: {forced.why}"
    )
