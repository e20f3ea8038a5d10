"""What the gate found in a run, told in words: `ledger.gate_results` read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.advice import advice
from expectations.verdict import Cell, Judgement, row_in_words
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.forcing import Forced, forced, standing_force
from omniledger.history import PastRun, find_run
from omniledger.moments import in_utc
from omniledger.report.formats import visible

_RESULTS = """
select
    suite, expectation, column_name, severity, passed, coalesce(observed, ''), unexpected_count,
    coalesce(sample, '[]'), judged_at
from ledger.gate_results
where run_id = %s
order by severity = 'warn', suite, expectation, column_name
"""

_FIELDS = [field.name for field in fields(Judgement)]
"""What the query selects first, in this order."""

_ROWS_SHOWN = 5
"""How many rows are named in the text; the document names all that were kept."""

_KEY_ENDINGS = ("_date", "_id", "id")


@dataclass(frozen=True)
class Told:
    """One expectation that failed, what to do about it, and its page of the Data Docs, if kept."""

    judgement: Judgement
    advice: str
    page: Path | None

    def lines(self) -> Iterator[str]:
        """It in words: expected, seen, the first rows by their keys, what to do, where it is."""
        of = self.judgement
        word = "STOP" if of.severity == "stop" else "warning"
        yield f"{word}: {of.suite}{f', {of.column}' if of.column else ''}"
        yield f"  expected  {of.expectation}"
        yield f"  seen      {of.observed}"
        for row in of.sample[:_ROWS_SHOWN]:
            yield f"  row       {visible(_named(row))}"
        left = (of.unexpected_count or 0) - len(of.sample[:_ROWS_SHOWN])
        if of.sample and left > 0:
            yield f"            and {left} more"
        yield f"  do        {self.advice}"
        if self.page is not None:
            yield f"  page      {self.page}"

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            **asdict(self.judgement),
            "advice": self.advice,
            "page": None if self.page is None else str(self.page),
        }


@dataclass(frozen=True)
class Explained:
    """How a run was judged: what failed, what it is warned of, and whether it was forced.

    `standing` are forced figures that readers see now, of this run or of another.
    """

    run: PastRun
    judged_at: datetime
    expectations: int
    failed: tuple[Told, ...]
    forced: Forced | None
    standing: Forced | None

    @property
    def stops(self) -> tuple[Told, ...]:
        """What stopped the figures."""
        return tuple(told for told in self.failed if told.judgement.severity == "stop")

    @property
    def passed(self) -> bool:
        """Whether the gate let the figures pass."""
        return not self.stops

    def text(self) -> str:
        """It for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        stops, warnings = len(self.stops), len(self.failed) - len(self.stops)
        verdict = "let the figures pass" if self.passed else "refused the figures"
        yield f"The gate {verdict} of the run {self.run.run_id} at {in_utc(self.judged_at)}."
        yield f"{self.expectations} expectations: {stops} stopped it, {warnings} warned."
        if self.forced is not None:
            yield _sentence(self.forced, "They were published by force")
        if self.standing is not None and self.standing != self.forced:
            yield _sentence(
                self.standing, f"Readers see the run {self.standing.run_id}, published by force"
            )
        for told in self.failed:
            yield ""
            yield from told.lines()

    def document(self) -> dict[str, Any]:
        """It for programs."""
        return {
            "run": asdict(self.run),
            "judged_at": self.judged_at,
            "verdict": "passed" if self.passed else "refused",
            "expectations": self.expectations,
            "failed": [told.document() for told in self.stops],
            "warnings": [t.document() for t in self.failed if t.judgement.severity == "warn"],
            "forced": None if self.forced is None else asdict(self.forced),
            "standing_by_force": None if self.standing is None else asdict(self.standing),
        }


def explain(connection: Connection, named: str, site_dir: Path) -> Explained:
    """How the gate judged a run.

    Args:
        named: the run's id, the first letters of it, or `last`: the last that was judged.
        site_dir: where the Data Docs are.

    Raises:
        SettingsError: that is no run's id.
        NotReadyError: there is no such run, or it never came to the gate.
    """
    run = find_run(connection, named)
    rows = connection.execute(_RESULTS, [run.run_id]).fetchall()
    if not rows:
        why = f": {run.reason.rstrip('.')}" if run.reason else ""
        raise NotReadyError(
            f"The run {run.run_id} is {run.verdict} and was never judged{why}; "
            f"`omniledger gate explain last` explains the last that was."
        )
    judgements = [Judgement(**dict(zip(_FIELDS, row, strict=False))) for row in rows]
    return Explained(
        run=run,
        judged_at=rows[0][8],
        expectations=len(rows),
        failed=tuple(
            Told(one, advice(one.suite, one.expectation), _page(site_dir, one.suite, run))
            for one in judgements
            if not one.passed
        ),
        forced=forced(connection, run.run_id),
        standing=standing_force(connection),
    )


def _named(row: Mapping[str, Cell]) -> str:
    """A row by its key, then what is wrong in it; the database keeps no order of names."""
    keys_first = sorted(row, key=lambda name: not name.endswith(_KEY_ENDINGS))
    return row_in_words({name: row[name] for name in keys_first})


def _page(site_dir: Path, suite: str, run: PastRun) -> Path | None:
    """The page of the Data Docs on a suite in a run; pages of old runs go."""
    folder = site_dir / "data_docs" / "validations" / suite
    return max(folder.glob(f"*-{run.run_id}/**/*.html"), default=None)


def _sentence(forced: Forced, how: str) -> str:
    return f"{how} at {in_utc(forced.at)} by {forced.by}: {forced.why}"
