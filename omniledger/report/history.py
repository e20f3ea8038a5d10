"""How each expectation was judged in the last runs: what breaks now and then is seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omniledger.report.formats import visible
from omniledger.report.snapshot import Snapshot

RUNS_SHOWN = 12
ROWS_SHOWN = 40

# An expectation that a run didn't judge keeps its place among the runs, and is no pass there.
_HISTORY = """
with runs as (
    select run_id, max(judged_at) as judged_at
    from ledger.gate_results
    group by run_id
    order by 2 desc
    limit %(runs)s
),

placed as (
    select
        results.suite,
        results.expectation,
        coalesce(results.column_name, '') as column_name,
        results.run_id,
        case
            when bool_and(results.passed) then 'passed'
            when bool_or(not results.passed and results.severity <> 'warn') then 'failed'
            else 'warning'
        end as verdict
    from ledger.gate_results as results
    inner join runs on results.run_id = runs.run_id
    group by 1, 2, 3, 4
),

noted as (
    select distinct suite, expectation, column_name
    from placed
    where verdict <> 'passed'
)

select
    noted.suite,
    noted.expectation,
    noted.column_name,
    min(runs.judged_at) filter (where placed.verdict is not null) as first_judged_at,
    max(runs.judged_at) filter (where placed.verdict is not null) as last_judged_at,
    array_agg(coalesce(placed.verdict, 'unjudged') order by runs.judged_at) as verdicts,
    count(*) over () as rows_in_all
from noted
cross join runs
left join placed
    on
        noted.suite is not distinct from placed.suite
        and noted.expectation is not distinct from placed.expectation
        and noted.column_name = placed.column_name
        and runs.run_id = placed.run_id
group by noted.suite, noted.expectation, noted.column_name
order by
    count(*) filter (where placed.verdict = 'failed') desc,
    count(*) filter (where placed.verdict = 'warning') desc,
    noted.suite,
    noted.expectation,
    noted.column_name
limit %(shown)s
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One expectation that did not always pass; `verdicts` are words, the oldest run's first."""

    suite: str
    expectation: str
    column: str
    verdicts: str
    first_judged_at: datetime
    last_judged_at: datetime

    def count(self, verdict: str) -> int:
        """How many of the runs shown judged it so."""
        return self.verdicts.split().count(verdict)


@dataclass(frozen=True, slots=True)
class GateHistory:
    """What did not always pass in the newest runs, the most often failed first."""

    rows: tuple[Judged, ...] = ()
    in_all: int = 0


def read(snapshot: Snapshot) -> GateHistory:
    """The history; empty where everything passed in each run shown."""
    rows = snapshot.rows("ledger.gate_results", _HISTORY, runs=RUNS_SHOWN, shown=ROWS_SHOWN)
    return GateHistory(
        rows=tuple(
            Judged(
                suite=visible(row["suite"] or ""),
                expectation=visible(row["expectation"] or ""),
                column=visible(row["column_name"]),
                verdicts=" ".join(row["verdicts"]),
                first_judged_at=row["first_judged_at"],
                last_judged_at=row["last_judged_at"],
            )
            for row in rows
        ),
        in_all=rows[0]["rows_in_all"] if rows else 0,
    )
