"""Whether raw rows go when they are as old as the settings say."""

from __future__ import annotations

import psycopg

from omniledger.inspection.findings import Answer, State
from omniledger.inspection.looking import Look
from omniledger.pruning.overdue import WAY_OUT, overdue_since


def removed(look: Look) -> Answer:
    """Whether each night's removal was made."""
    if look.settings.raw_keep_days is None:
        return Answer(State.IN_ORDER, "they stay for ever")
    try:
        with look.connection.transaction():
            since = overdue_since(look.connection, look.settings)
    except psycopg.errors.UndefinedTable:
        return Answer(State.IN_ORDER, "nothing is removed before the upgrade")
    if since is None:
        return Answer(State.IN_ORDER, f"they stay for {look.settings.raw_keep_days} days")
    return Answer(
        State.DRIFT,
        f"those from {since} on are still there",
        "OMNILEDGER_RAW_KEEP_DAYS says that they should have gone.",
        f"{WAY_OUT}.",
    )
