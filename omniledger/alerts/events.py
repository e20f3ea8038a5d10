"""What is wrong now, each kind asked of the live database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg

from omniledger import revisions
from omniledger.alerts.record import Event
from omniledger.database import Connection
from omniledger.settings import Settings

Rows = Iterator[tuple[str, str]]

_LAST_RUN = """
    select r.verdict, 'the run of ' || to_char(r.started_at, 'YYYY-MM-DD HH24:MI') || ' was '
        || r.verdict || ': ' || coalesce(r.reason, 'nobody knows why')
    from ledger.runs as r
    where r.verdict <> 'running'
    order by r.started_at desc
    limit 1
"""


def _run(connection: Connection, settings: Settings) -> Rows:
    for verdict, sentence in connection.execute(_LAST_RUN):
        if verdict != "published":
            yield verdict, sentence.rstrip(".")


def _drift(connection: Connection, settings: Settings) -> Rows:
    at, head = revisions.current(connection), revisions.head()
    if at != head:
        yield "revision", f"the schema is at revision {at or 'none'}, not at {head}"


KINDS: dict[str, Callable[[Connection, Settings], Rows]] = {
    "run": _run,
    "drift": _drift,
}


def now_wrong(connection: Connection, settings: Settings) -> tuple[list[Event], set[str]]:
    """Ask for every kind.

    Returns:
        The events, and the kinds that could be asked for: without the rights, or before the
        upgrade, there is no telling, and nothing is taken for over.
    """
    events: list[Event] = []
    seen: set[str] = set()
    for kind, ask in KINDS.items():
        try:
            with connection.transaction():
                found = [Event(kind, subject, what) for subject, what in ask(connection, settings)]
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject):
            continue
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction):
            continue
        events += found
        seen.add(kind)
    return events, seen
