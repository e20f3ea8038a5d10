"""What the gate found: one judgement for each expectation, and the verdict on the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Severity = Literal["stop", "warn"]
Cell = str | int | bool | None

_NAMED_FAILURES = 3
_NAMED_ROWS = 2


@dataclass(frozen=True)
class Judgement:
    """How one expectation came out.

    `expectation` is a sentence that is true of good figures. `sample` holds up to 20 of the
    `unexpected_count` rows that break it, each with its key; numbers with decimals and dates are
    text, so that nothing is rounded on the way.
    """

    suite: str
    expectation: str
    column: str | None
    severity: Severity
    passed: bool
    observed: str
    unexpected_count: int | None
    sample: tuple[Mapping[str, Cell], ...]

    def sentence(self) -> str:
        """The expectation that failed, how often, and the first rows that break it.

        It is kept with the run, so its own words are ASCII, which every database can hold.
        """
        rows = "; ".join(map(row_in_words, self.sample[:_NAMED_ROWS]))
        such = f" ({rows})" if rows else ""
        return f'"{self.expectation}" in {self.suite}, but {self.observed}{such}'


@dataclass(frozen=True)
class Verdict:
    """Whether the figures of a run may be published, and every judgement behind it."""

    run_id: UUID
    passed: bool
    results: tuple[Judgement, ...]

    @property
    def failures(self) -> tuple[Judgement, ...]:
        """What stops the run."""
        return tuple(r for r in self.results if not r.passed and r.severity == "stop")

    @property
    def warnings(self) -> tuple[Judgement, ...]:
        """What is wrong, and stops nothing."""
        return tuple(r for r in self.results if not r.passed and r.severity == "warn")

    def reason(self) -> str:
        """One sentence: what failed, with rows to look at, or that nothing did."""
        if self.failures:
            named = "; ".join(f.sentence() for f in self.failures[:_NAMED_FAILURES])
            more = len(self.failures) - _NAMED_FAILURES
            others = f"; and {_count(more, 'more expectation')} failed" if more > 0 else ""
            return f"The gate refused the figures: {named}{others}."
        good = f"{_count(len(self.results), 'expectation')} judged, none stops the figures"
        if not self.warnings:
            return f"{good}."
        return f"{good}; {_count(len(self.warnings), 'warning')}: {self.warnings[0].sentence()}."


def row_in_words(row: Mapping[str, Cell]) -> str:
    """A row without its mart's own key, which is made of what stands beside it and says no more."""
    told = [name for name in row if not name.endswith("_key")] or row
    return ", ".join(f"{name} {'missing' if row[name] is None else row[name]}" for name in told)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
