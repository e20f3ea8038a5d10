"""The runs that were, as `omniledger runs` tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from omniledger.database import Connection
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
