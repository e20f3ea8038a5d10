"""How long the last runs took: each of their steps, and each model that they built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from omniledger.report.formats import visible
from omniledger.report.snapshot import Snapshot

_STEPS = """
select
    runs.started_at as run_started_at,
    runs.verdict,
    steps.step,
    steps.seconds,
    steps.rows,
    coalesce(steps.detail, '') as detail
from (
    select run_id, started_at, verdict
    from ledger.runs
    order by started_at desc
    limit %(recent)s
) as runs
inner join ledger.run_steps as steps on runs.run_id = steps.run_id
where steps.part = ''
order by runs.started_at desc, steps.started_at, steps.step
"""

_MODELS = """
with recent as (
    select run_id, started_at
    from ledger.runs
    where exists (
        select from ledger.run_steps as steps
        where steps.run_id = runs.run_id and steps.part <> ''
    )
    order by started_at desc
    limit %(recent)s
)

select
    steps.part as model,
    (array_agg(steps.seconds order by recent.started_at desc))[1] as seconds,
    (array_agg(steps.rows order by recent.started_at desc))[1] as rows,
    percentile_disc(0.5) within group (order by steps.seconds) as median_seconds,
    max(steps.seconds) as longest_seconds,
    count(*) as runs
from recent
inner join ledger.run_steps as steps on recent.run_id = steps.run_id
where steps.part <> ''
group by steps.part
order by seconds desc, model
"""


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step of a run; `seconds` is None while it is under way, or where it was killed."""

    run_started_at: datetime
    verdict: str
    step: str
    seconds: Decimal | None
    rows: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class ModelTime:
    """A model: how long it took the last time, and over the last runs."""

    model: str
    seconds: Decimal | None
    rows: int | None
    median_seconds: Decimal | None
    longest_seconds: Decimal | None
    runs: int


@dataclass(frozen=True, slots=True)
class Durations:
    """The steps of the newest runs, the newest run first, and the models, the slowest first."""

    steps: tuple[StepTime, ...] = ()
    models: tuple[ModelTime, ...] = ()


def read(snapshot: Snapshot, recent: int) -> Durations:
    """The durations of the newest runs."""

    relation = "ledger.run_steps"
    return Durations(
        tuple(StepTime(**_harmless(r)) for r in snapshot.rows(relation, _STEPS, recent=recent)),
        tuple(ModelTime(**_harmless(r)) for r in snapshot.rows(relation, _MODELS, recent=recent)),
    )


def _harmless(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: visible(v) if isinstance(v, str) else v for name, v in row.items()}
