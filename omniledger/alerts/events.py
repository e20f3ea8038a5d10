"""What is wrong now, each kind asked of the live database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from hashlib import md5
from typing import NamedTuple
from zoneinfo import ZoneInfo

import psycopg

from omniledger import revisions
from omniledger.alerts import record
from omniledger.alerts.record import USED, Event
from omniledger.analytics.link import is_copy
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.history import FRESHNESS
from omniledger.inspection.by_hand import drifted
from omniledger.inspection.clock import now
from omniledger.inspection.freshness import Checks, freshness
from omniledger.inspection.limits import Over, over_on, over_today
from omniledger.inspection.looking import Look
from omniledger.inspection.runs import killed
from omniledger.moments import in_utc
from omniledger.pruning.overdue import WAY_OUT, overdue_since
from omniledger.report.formats import usd
from omniledger.settings import Settings

Rows = Iterator[tuple[str, str]]

_LAST_RUN = """
    select
        r.verdict,
        'the run of ' || to_char(r.started_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')
        || case r.verdict when 'failed' then ' UTC failed' else ' UTC was ' || r.verdict end
        || ': ' || coalesce(r.reason, 'nobody knows why')
    from ledger.runs as r
    where r.verdict <> 'running'
    order by r.started_at desc
    limit 1
"""

# By day and by the same rule as the gate; a difference that nobody mended is not told for ever.
_BILL = """
    select
        bill_date,
        sum(billed_usd),
        sum(ledger_usd)
    from analytics.fct_bill_reconciliation
    where
        billed_usd is not null
        and bill_date > (select max(bill_date) - 35 from analytics.fct_bill_reconciliation)
    group by bill_date
    having abs(sum(difference_usd)) > %s * greatest(sum(billed_usd), sum(ledger_usd))
    order by bill_date
"""

_UNANSWERED = (
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.errors.QueryCanceled,
    NotReadyError,
)
"""Of what is missing, forbidden, of another shape, slow, or not upgraded."""

TIMEOUT_MS = 5_000
"""How long one kind may take to be asked for."""


@dataclass
class Scene:
    """What one look asks: the database, with the settings; its servers are asked for once."""

    connection: Connection
    settings: Settings

    @cached_property
    def servers(self) -> list[Checks]:
        """Every server, with when it was last noticed and how it was then."""
        return freshness(self.connection, now(self.connection), self.settings)


def _run(scene: Scene) -> Rows:
    for published_at, _, is_stale in scene.connection.execute(FRESHNESS):
        if is_stale:
            yield "stale", f"no figures were published since {in_utc(published_at)}"
    if (sentence := killed(scene.connection)) is not None:
        # As the next run will call it, so that it is told once.
        yield "failed", sentence
        return
    for verdict, sentence in scene.connection.execute(_LAST_RUN):
        if verdict != "published":
            yield verdict, sentence.rstrip(".")


def _drift(scene: Scene) -> Rows:
    at, head = revisions.current(scene.connection), revisions.head()
    if revisions.is_lost(scene.connection, at):
        yield "revision", revisions.LOST
    elif at != head:
        yield "revision", f"the schema is {revisions.said(at)}, not at {head}"


def _by_hand(scene: Scene) -> Rows:
    revisions.require_head(scene.connection)
    found = []
    # Whoever may not read a sequence is to be told of all else.
    with suppress(psycopg.errors.InsufficientPrivilege), scene.connection.transaction():
        for sentence in drifted(Look(scene.connection, scene.settings)):
            found.append(sentence)
    for sentence in found:
        yield md5(sentence.encode(), usedforsecurity=False).hexdigest(), sentence.rstrip(".")


def _quota(scene: Scene) -> Rows:
    yield from map(_used_up, over_today(scene.connection))
    # What was used up between the last look of a day and midnight is first seen in its figures.
    zone = ZoneInfo(scene.settings.reporting_timezone)
    yesterday = now(scene.connection).astimezone(zone).date() - timedelta(days=1)
    late: dict[str, str] = {}
    with suppress(psycopg.ProgrammingError), scene.connection.transaction():
        late = dict(map(_used_up, over_on(scene.connection, yesterday)))
    heard = record.known(scene.connection, "quota", late)
    yield from ((user, what) for user, what in late.items() if user not in heard)


def _used_up(over: Over) -> tuple[str, str]:
    return f"{over.user_id} {over.day}", f"{over.who}{USED}{over.used} on {over.day}"


def _incident(scene: Scene) -> Rows:
    # Down until it is seen up again: silence after an outage is not its end.
    for server in scene.servers:
        if server.state == "down" and server.last_at is not None:
            why = f": {server.last_error}" if server.last_error else ""
            yield str(server.server_id), f"the MCP server {server.name} is down{why}".rstrip(".")


def _silence(scene: Scene) -> Rows:
    for server in scene.servers:
        if server.is_missed:
            yield str(server.server_id), f"nobody checks the MCP server {server}"


def _bill(scene: Scene) -> Rows:
    for day, billed, ours in scene.connection.execute(
        _BILL, (scene.settings.bill_tolerance_share,)
    ):
        what = f"the bill of {day} is {usd(billed)}, and the ledger says {usd(ours)}"
        yield str(day), what.replace("\N{MINUS SIGN}", "-")  # which every database can hold


def _raw_rows(scene: Scene) -> Rows:
    if since := overdue_since(scene.connection, scene.settings):
        yield "raw", f"old raw rows, from {since} on, were not removed; {WAY_OUT}"


class Kind(NamedTuple):
    """How one kind is asked for, whether its end is news, and whether it is of the gateway.

    A used-up day ends at midnight, which nobody need be told. What is wrong at the gateway a copy
    can't tell: it is as old as the last run, and has none of the gateway's triggers and views.
    """

    ask: Callable[[Scene], Rows]
    is_end_told: bool = True
    is_of_gateway: bool = False


KINDS: dict[str, Kind] = {
    "run": Kind(_run),
    "drift": Kind(_drift),
    "by hand": Kind(_by_hand, is_of_gateway=True),
    "quota": Kind(_quota, is_end_told=False, is_of_gateway=True),
    "incident": Kind(_incident, is_of_gateway=True),
    "silence": Kind(_silence, is_of_gateway=True),
    "bill": Kind(_bill),
    "raw rows": Kind(_raw_rows),
}


def now_wrong(connection: Connection, settings: Settings) -> tuple[list[Event], set[str]]:
    """Ask for every kind.

    Returns:
        The events, and the kinds that could be asked for: without the rights, before the upgrade
        or the first run, or where the answer takes too long, there is no telling, and nothing is
        taken for over.
    """
    scene = Scene(connection, settings)
    events: list[Event] = []
    seen: set[str] = set()
    is_of_source = is_copy(connection)
    for name, kind in KINDS.items():
        if is_of_source and kind.is_of_gateway:
            # What was told of it before the database was attached is over here.
            seen.add(name)
            continue
        try:
            with connection.transaction():
                connection.execute(f"set local statement_timeout = {TIMEOUT_MS}".encode())
                found = [Event(name, subject, what) for subject, what in kind.ask(scene)]
                connection.execute("set local statement_timeout to default")
        except _UNANSWERED:
            continue
        events += found
        seen.add(name)
    return events, seen
