"""The record of runs in `ledger.runs`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from omniledger import revisions, screen, versions
from omniledger.database import Connection, Dsn, as_json
from omniledger.errors import GateRefused, OmniledgerError
from omniledger.moments import in_utc
from omniledger.turns import turn

_CLEAR_KILLED = """
update ledger.runs
set
    verdict = 'failed',
    finished_at = greatest(now(), runs.started_at),
    reason = 'It was killed before it ended' || coalesce(', at the step: ' || last.step, '') || '.'
from ledger.runs as killed
left join lateral (
    select step
    from ledger.run_steps
    where run_id = killed.run_id and part = '' and seconds is null
    order by started_at desc
    limit 1
) as last on true
where killed.verdict = 'running' and killed.run_id = runs.run_id
returning runs.started_at, last.step
"""

# A clock that was set back puts no run before an earlier one, for the last is read by its time.
_BEGIN = """
insert into ledger.runs (run_id, started_at, versions)
select %s, greatest(now(), max(started_at) + interval '1 microsecond'), %s
from ledger.runs
"""

# What failed between has put right nothing of what was refused.
_LAST = """
select verdict
from ledger.runs
where verdict in ('published', 'refused')
order by started_at desc
limit 1
"""

_END = """
update ledger.runs
set verdict = %s, finished_at = greatest(now(), started_at), reason = %s, figures = %s
where run_id = %s
"""

_BEGIN_STEP = """
insert into ledger.run_steps (run_id, step)
values (%s, %s)
on conflict (run_id, step, part) do nothing
"""

_END_STEP = """
update ledger.run_steps set seconds = %s, rows = %s, detail = %s
where run_id = %s and step = %s and part = ''
"""

_PART = """
insert into ledger.run_steps (run_id, step, part, seconds, rows)
values (%s, %s, %s, %s, %s)
on conflict (run_id, step, part) do nothing
"""


@dataclass(frozen=True)
class Part:
    """A part of a step, such as a model, with how long it took and the rows that it wrote."""

    name: str
    seconds: Decimal
    rows: int | None = None


class Step:
    """A step under way: what it has to say, what it wrote, and of which parts it was."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: list[str] = []
        self.rows: int | None = None
        self.parts: Sequence[Part] = ()

    def tell(self, sentence: str) -> None:
        """Add to the line that is shown and kept of it."""
        self.said.append(sentence)


_NOW = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now()"


@dataclass(frozen=True)
class Began:
    """When a run began: every transaction before `xmin` had ended, and the clock said `at`."""

    xmin: int
    at: datetime


class Run:
    """One run under way; `figures` goes into its record when it ends.

    Among them is `xmin`, the oldest transaction still open when it began: what was written before
    that one is in all figures of the run.

    `follows_refusal` says that the gate refused what was judged last, with no run published since,
    and `after_killed` which runs were found killed.
    """

    def __init__(
        self, connection: Connection, follows_refusal: bool, after_killed: Sequence[str] = ()
    ) -> None:
        self.run_id: UUID = uuid4()
        self.follows_refusal = follows_refusal
        self.after_killed = after_killed
        self.figures: dict[str, Any] = {}
        self.steps: list[tuple[Step, Decimal]] = []
        self.has_ended = False
        self.tell_step: Callable[[str], object] = lambda name: None
        """Told the name of each step that begins."""
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """What is written from now on need not be in the run's figures; all before must be."""
        [now] = self._connection.execute(_NOW).fetchall()
        self.began = Began(*now)
        self.figures["xmin"] = self.began.xmin

    @property
    def can_record(self) -> bool:
        """Whether its connection, and so its lock, is still there."""
        return not self._connection.closed and not self._connection.broken

    def require_turn(self) -> None:
        """See that its connection, and so its lock, is still there: else another may have begun.

        Raises:
            psycopg.OperationalError: it is gone.
        """
        self._connection.execute("select 1")

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show and record a step, with how long it took.

        Raises:
            DatabaseError: the run's own connection is gone, and its lock with it.
        """
        self._connection.execute(_BEGIN_STEP, (self.run_id, name))
        self.tell_step(name)
        step, began = Step(name), time.monotonic()
        try:
            with screen.step(name) as told:
                yield step
                for sentence in step.said:
                    told(sentence)
        except BaseException:
            step.tell("it did not end well")
            if self.can_record:
                self._keep(step, began)
            raise
        self._keep(step, began)

    def _keep(self, step: Step, began: float) -> None:
        seconds = Decimal(str(round(time.monotonic() - began, 3)))
        self.steps.append((step, seconds))
        detail = ", ".join(step.said) or None
        self._connection.execute(_END_STEP, (seconds, step.rows, detail, self.run_id, step.name))
        with self._connection.cursor() as cursor:
            cursor.executemany(
                _PART, [(self.run_id, step.name, p.name, p.seconds, p.rows) for p in step.parts]
            )

    def end(self, verdict: str, reason: str | None = None) -> None:
        """Record how it ended, as published, refused or failed; the first word stands."""
        if self.has_ended:
            return
        self.has_ended = True
        figures = as_json(self.figures)
        self._connection.execute(_END, (verdict, reason, figures, self.run_id))


@contextmanager
def recorded(dsn: Dsn) -> Iterator[Run]:
    """Record a run from its beginning to its end, whatever the end is.

    Raises:
        NotReadyError: another run is at work on this database.
    """
    with turn(dsn) as connection:
        run = _begin(connection)
        said = screen.run_at_work.set(str(run.run_id))
        try:
            yield run
        except BaseException as error:
            if run.can_record:
                run.end("refused" if isinstance(error, GateRefused) else "failed", _reason(error))
            raise
        finally:
            screen.run_at_work.reset(said)


def _begin(connection: Connection) -> Run:
    killed = [
        f"the run of {in_utc(at)} was killed" + (f" at the step: {step}" if step else "")
        for at, step in connection.execute(_CLEAR_KILLED)
    ]
    last = connection.execute(_LAST).fetchone()
    run = Run(connection, last == ("refused",), killed)
    at_work = {
        **versions.installed(),
        "postgresql": connection.info.parameter_status("server_version"),
        "revision": revisions.current(connection),
    }
    connection.execute(_BEGIN, (run.run_id, as_json(at_work)))
    return run


def _reason(error: BaseException) -> str:
    if isinstance(error, OmniledgerError):
        return str(error)
    if not isinstance(error, Exception):
        # Ctrl-C, or Prefect's signal to a run whose runner ends.
        return "It was interrupted."
    return f"{type(error).__name__}: {error}"
