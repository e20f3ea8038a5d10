"""The runs that were: told of, found by what a person calls them, and whether one is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from omniledger.database import Connection
from omniledger.errors import NotReadyError, SettingsError
from omniledger.turns import IS_AT_WORK, LOCK

# A run that says that it is at work while nobody holds its lock was killed; the next one notes it.
_RUNS = f"""
select
    runs.run_id,
    runs.started_at,
    runs.finished_at,
    case
        when runs.verdict <> 'running' then runs.verdict
        when at_work.held then 'running'
        else 'killed'
    end as verdict,
    coalesce(runs.reason, '') as reason,
    coalesce(runs.versions, '{{}}') as versions,
    (
        select count(*) filter (where results.passed)
        from ledger.gate_results as results
        where results.run_id = runs.run_id
    ) as passed,
    (
        select count(*) filter (where not results.passed)
        from ledger.gate_results as results
        where results.run_id = runs.run_id
    ) as not_passed
from ledger.runs
cross join ({IS_AT_WORK}) as at_work
order by runs.started_at desc
limit %(limit)s
"""  # noqa: S608 (no value of anybody's in it)

_STEPS = """
select run_id, step, part, started_at, seconds, rows, detail
from ledger.run_steps
where run_id = any(%s)
order by started_at, part <> '', seconds desc, part
"""

FRESHNESS = """
    select published_at, fresh_until, now() > fresh_until as is_stale
    from (
        select
            max(at) as published_at,
            max(at) + greatest(
                interval '2 days',
                case when count(gap) >= 3 then
                    2 * percentile_disc(0.5) within group (order by gap)
                end
            ) as fresh_until
        from (
            select at, at - lag(at) over (order by at) as gap
            from (
                select coalesce(finished_at, started_at) as at
                from ledger.runs
                where verdict = 'published'
                union all
                select forced_at from ledger.forced_publications
                order by at desc
                limit 6
            ) as newest
        ) as published
    ) as fresh
"""
"""When figures were published last, by force included, and until when that is no sign of a missed
run: for two days, or for two of the usual gaps where they come more seldom than daily."""

_ID = re.compile(r"[0-9a-fA-F-]{4,36}")

_BY_ID = """
select run_id, started_at, finished_at, verdict, coalesce(reason, '')
from ledger.runs
where starts_with(run_id::text, %s)
order by started_at desc
limit 2
"""

_NEWEST = """
select run_id, started_at, finished_at, verdict, coalesce(reason, '')
from ledger.runs
where not %(is_judged)s or run_id in (select run_id from ledger.gate_results)
order by started_at desc
limit 1
"""


@dataclass(frozen=True)
class PastRun:
    """What `ledger.runs` says of one run."""

    run_id: UUID
    started_at: datetime
    finished_at: datetime | None
    verdict: str
    reason: str


def find_run(connection: Connection, named: str) -> PastRun:
    """The run that a person names by its id, by the first letters of it, or as `last`.

    `last` is the last that the gate has judged.

    Raises:
        SettingsError: that is no run's id, or several begin with it.
        NotReadyError: there is no such run.
    """
    if named == "last":
        newest = newest_run(connection, is_judged=True)
        if newest is None:
            raise NotReadyError("The gate has not judged a run yet; `omniledger run` makes one.")
        return newest
    if not _ID.fullmatch(named):
        raise SettingsError(
            f"{named!r} is no run: name it by its id, by the first letters of it, or as last."
        )
    found = connection.execute(_BY_ID, [named.lower()]).fetchall()
    if not found:
        raise NotReadyError(f"There is no run {named}; `ledger.runs` lists those that there were.")
    if len(found) > 1:
        raise SettingsError(f"Several runs begin with {named}; write more of the id.")
    return PastRun(*found[0])


def newest_run(connection: Connection, *, is_judged: bool = False) -> PastRun | None:
    """The run that began last, whatever became of it, or the last that the gate has judged."""
    row = connection.execute(_NEWEST, {"is_judged": is_judged}).fetchone()
    return None if row is None else PastRun(*row)


@dataclass
class PartTaken:
    """A part of a step, such as a model."""

    name: str
    seconds: Decimal | None
    rows: int | None


@dataclass
class StepTaken:
    """A step of a run; `seconds` is None where it never ended."""

    step: str
    started_at: datetime
    seconds: Decimal | None
    rows: int | None
    detail: str
    parts: list[PartTaken] = field(default_factory=list)


@dataclass
class RunTaken:
    """A run with its steps in order.

    Attributes:
        verdict: published, refused, failed, running, or killed where it never ended.
        passed: how many expectations of the gate; 0 where it never came to the gate.
    """

    run_id: UUID
    started_at: datetime
    finished_at: datetime | None
    verdict: str
    reason: str
    versions: dict[str, str]
    passed: int
    not_passed: int
    steps: list[StepTaken] = field(default_factory=list)

    @property
    def seconds(self) -> Decimal:
        """How long its steps took, by a clock that never jumps."""
        return sum((step.seconds or Decimal(0) for step in self.steps), Decimal(0))

    @property
    def rows(self) -> int:
        """How many rows it published."""
        return sum(step.rows or 0 for step in self.steps if step.step == PUBLISHING)


BUILDING, JUDGING, PUBLISHING = "models built", "figures judged", "figures published"
"""The steps of a run that work on figures; the rows of the last are those that readers got."""


def read(connection: Connection, limit: int) -> list[RunTaken]:
    """The last runs, newest first, each with its steps."""
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(_RUNS, {"limit": limit, "lock": LOCK}).fetchall()
    runs = {row["run_id"]: RunTaken(**row) for row in found}
    for row in cursor.execute(_STEPS, (list(runs),)):
        _add(runs[row["run_id"]].steps, row)
    return list(runs.values())


def _add(steps: list[StepTaken], row: dict[str, Any]) -> None:
    if not row["part"]:
        steps.append(
            StepTaken(
                row["step"], row["started_at"], row["seconds"], row["rows"], row["detail"] or ""
            )
        )
        return
    step = next(step for step in steps if step.step == row["step"])
    step.parts.append(PartTaken(row["part"], row["seconds"], row["rows"]))
