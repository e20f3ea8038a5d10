"""The figures that the report shows, as read: values that travel, and nothing computed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Basis:
    """Requests whose cost is known in one way, and what they come to, US dollars."""

    basis: str
    requests: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums of `fct_daily_usage` over some of its rows.

    Tokens and costs are None where not one row has the figure: not known is not zero.
    """

    requests: int
    errors: int
    blocked: int
    tokens_input: int | None
    tokens_output: int | None
    tokens_cached: int | None
    tokens_cache_write: int | None
    tokens_total: int | None
    requests_cost_recorded: int
    requests_cost_computed: int
    requests_cost_estimated: int
    requests_cost_unknown: int
    requests_model_assumed: int
    requests_impossible: int
    cost_recorded_usd: Decimal | None
    cost_recomputed_usd: Decimal | None
    cost_computed_usd: Decimal | None
    cost_estimated_usd: Decimal | None
    cost_difference_usd: Decimal | None
    cost_usd: Decimal | None
    tokens_cost_unknown: int | None

    @property
    def is_known_by_kind(self) -> bool:
        """Whether all tokens are counted by kind, so that the recomputed cost is that of all."""
        kinds = (
            self.tokens_input,
            self.tokens_output,
            self.tokens_cached,
            self.tokens_cache_write,
        )
        return self.requests_cost_estimated == self.requests_cost_unknown == 0 and sum(
            kind or 0 for kind in kinds
        ) >= (self.tokens_total or 0)

    @property
    def bases(self) -> tuple[Basis, ...]:
        """How the cost of each request is known, as counts and as money."""
        return (
            Basis("Recorded", self.requests_cost_recorded, self.cost_recorded_usd),
            Basis("Computed", self.requests_cost_computed, self.cost_computed_usd),
            Basis("Estimated", self.requests_cost_estimated, self.cost_estimated_usd),
            Basis("Unknown", self.requests_cost_unknown, None),
        )


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one day, model, user or source; `is_rest` sums the ones not shown by name.

    `id` tells users of one name apart; it is empty where there is none.
    """

    id: str
    name: str
    usage: Usage
    detail: str = ""
    day: date | None = None
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class UsageFigures:
    """All of `fct_daily_usage`, seen from its four sides."""

    total: Usage
    first_day: date
    last_day: date
    days: int
    models: int
    users: int
    by_day: tuple[UsageRow, ...]
    by_model: tuple[UsageRow, ...]
    by_user: tuple[UsageRow, ...]
    by_source: tuple[UsageRow, ...]


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool over all days; durations and users are those of its highest day."""

    server: str
    tool: str
    calls: int
    errors: int
    blocked: int
    users: int | None
    p50_duration_ms: Decimal | None
    p95_duration_ms: Decimal | None
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class GateResult:
    """How one expectation was judged."""

    suite: str
    expectation: str
    column: str
    severity: str
    passed: bool
    observed: str
    unexpected: int | None
    samples: int

    @property
    def verdict(self) -> str:
        """`passed`, `failed` (it stops the run) or `warning` (it does not)."""
        if self.passed:
            return "passed"
        return "warning" if self.severity == "warn" else "failed"


@dataclass(frozen=True, slots=True)
class Gate:
    """The last judgement, what did not pass first."""

    judged_at: datetime
    results: tuple[GateResult, ...]

    def count(self, verdict: str) -> int:
        """How many expectations were judged so."""
        return sum(result.verdict == verdict for result in self.results)

    @property
    def suites(self) -> tuple[tuple[str, tuple[GateResult, ...]], ...]:
        """The results by suite, in the order of the suites' names."""
        names = sorted({result.suite for result in self.results})
        return tuple((name, tuple(r for r in self.results if r.suite == name)) for name in names)


@dataclass(frozen=True, slots=True)
class MergeSum:
    """One column summed on both sides of the merge; None where no row has a value."""

    column: str
    legacy: Decimal | None
    ledger: Decimal | None

    @property
    def agrees(self) -> bool:
        """Whether the two agree to the last digit."""
        return self.legacy == self.ledger


@dataclass(frozen=True, slots=True)
class Merge:
    """The certificate of the last merge: rows in = copied + matched + quarantined."""

    finished_at: datetime | None
    legacy_table: str
    rows_total: int
    rows_copied: int
    rows_matched: int
    rows_quarantined: int
    rows_ambiguous: int
    users_unmapped: int
    sums: tuple[MergeSum, ...]
    checksum: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Rows that the ledger can't hold, by why."""

    reason: str
    rows: int
