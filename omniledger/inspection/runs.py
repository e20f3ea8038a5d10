"""Whether figures are published."""

from __future__ import annotations

import psycopg

from omniledger.forcing import standing_force
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import Look
from omniledger.moments import in_utc

_LAST_RUN = "select verdict, reason, started_at from ledger.runs order by started_at desc limit 1"


def published(look: Look) -> Answer:
    """What became of the last run."""
    row = look.row_if_there(_LAST_RUN)
    if row is None:
        return Answer(State.DRIFT, "no run yet", advice="Run `omniledger run`.")
    verdict, reason, at = row
    evidence = f"the run of {in_utc(at)} was {verdict}"
    figures = (Figure("verdict", verdict), Figure("started at", at.isoformat()))
    if verdict == "published":
        return Answer(State.IN_ORDER, evidence, figures=figures)
    return Answer(
        State.DRIFT,
        f"{evidence}: {reason}",
        _what_readers_see(look),
        "Mend what it names and run `omniledger run`.",
        figures,
    )


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
