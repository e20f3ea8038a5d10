"""How a rule is written: a column rule of Great Expectations, or SQL that finds what breaks it.

Every rule has a sentence that is true of good figures and a severity: what stops the figures, or
what people are only warned of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from great_expectations.core import ExpectationSuite, ExpectationValidationResult
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
    ExpectColumnValuesToNotBeNull,
)
from great_expectations.expectations.core.unexpected_rows_expectation import (
    UnexpectedRowsExpectation,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.components import (
    LegacyDiagnosticRendererType,
    RenderedTableContent,
)
from great_expectations.render.renderer.renderer import renderer

from expectations.verdict import Cell, Severity

SAMPLE_ROWS = 20
"""How many offending rows are kept of each rule; a million bad rows cost no more than these."""

NOBODY = 9_999_999_999
"""In the place of a user who is not known, where rows are joined by user: beyond all ids."""

# The join is for GX: where it sees none it names the rows by itself, and rules could not.
_COUNTED = """
with batch as not materialized (
    select judged.*
    from {{batch}} as judged
    cross join (select true) as one_row
)

select
    count(*) over () as rows_in_all,
    breaking.*
from (
    {query}
) as breaking
limit {limit}
"""

_REPEATED = """
select {column}, count(*) as rows
from batch
group by {column}
having count(*) > 1
"""

_MISSING = """
select {key}, missing.name as missing
from batch
cross join lateral (values {each}) as missing (name, is_missing)
where num_nulls({columns}) > 0 and missing.is_missing
"""

_SEVERITIES = {"stop": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}


@dataclass(frozen=True)
class Judged:
    """A suite, the built mart or the query whose rows it judges, and the columns that name a row.

    Only of a mart can columns be judged by a rule of Great Expectations' own: to learn the columns
    of a query, it fetches all of its rows.
    """

    suite: ExpectationSuite
    mart: str | None = None
    query: str | None = None
    key: tuple[str, ...] = ()


class ExpectNoRows(UnexpectedRowsExpectation):
    """No row breaks the rule; the rule's SQL selects those that do.

    Unlike its parent it asks the database once, for the number of offending rows and the first
    of them, so that neither time nor memory grows with what is wrong.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        rows: list[dict[str, Any]] = metrics["unexpected_rows_query.table"]
        count = int(rows[0]["rows_in_all"]) if rows else 0
        sample = [
            {name: cell(value) for name, value in row.items() if name != "rows_in_all"}
            for row in rows
        ]
        return {
            "success": count == 0,
            "result": {
                "observed_value": observed(count),
                "unexpected_count": count,
                "partial_unexpected_index_list": sample,
            },
        }

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_STATEMENT)
    def _diagnostic_unexpected_statement_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: ExpectationValidationResult | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> list[Any]:
        if result is None or "unexpected_count" in result.result:
            return []
        return super()._diagnostic_unexpected_statement_renderer(configuration, result)

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: ExpectationValidationResult | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> list[Any] | None:
        rows = result.result.get("partial_unexpected_index_list") if result is not None else None
        if not rows:
            return None
        return [
            RenderedTableContent(
                content_block_type="table",
                header_row=list(rows[0]),
                table=[["null" if v is None else str(v) for v in row.values()] for row in rows],
                styling={"body": {"classes": ["table-bordered", "table-sm", "mt-3"]}},
            )
        ]


def no_rows(
    sentence: str, query: str, *, severity: Severity = "stop", column: str | None = None
) -> Expectation:
    """The rule that `query`, which reads from `batch` and names rows by their keys, finds none."""
    counted = _COUNTED.format(query=query.strip(), limit=SAMPLE_ROWS)
    return ExpectNoRows(unexpected_rows_query=counted, **_described(sentence, severity, column))


def never_null(column: str, *, severity: Severity = "stop") -> Expectation:
    """The rule that a column has a value in every row."""
    sentence = f"{column} is never missing"
    return ExpectColumnValuesToNotBeNull(column=column, **_described(sentence, severity, column))


def all_known(columns: Sequence[str], key: Sequence[str]) -> Expectation:
    """The rule that columns have a value in every row: one question for all of them.

    Args:
        columns: those that no row may lack.
        key: what names a row.
    """
    missing = _MISSING.format(
        key=", ".join(key),
        columns=", ".join(columns),
        each=", ".join(f"('{column}', {column} is null)" for column in columns),
    )
    return no_rows("No figure is missing", missing)


def unique(column: str, *, severity: Severity = "stop") -> Expectation:
    """The rule that no two rows have the same value.

    Great Expectations' own counts by a window over the whole table, five times as slowly.
    """
    repeated = _REPEATED.format(column=column)
    return no_rows(f"{column} is there once only", repeated, severity=severity, column=column)


def between(
    column: str, least: int | None, most: int | None, *, severity: Severity = "stop"
) -> Expectation:
    """The rule that a value, where there is one, lies between two bounds."""
    bounds = {(False, True): f"at most {most}", (True, False): f"at least {least}"}
    said = bounds.get((least is not None, most is not None), f"between {least} and {most}")
    return ExpectColumnValuesToBeBetween(
        column=column,
        min_value=least,
        max_value=most,
        **_described(f"{column} is {said}", severity, column),
    )


def cell(value: object) -> Cell:
    """A value as it is shown and kept: whole numbers as they are, what has decimals as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def observed(count: int) -> str:
    """How often a rule is broken, in words."""
    if count == 0:
        return "no row breaks it"
    return f"{count} {'row breaks' if count == 1 else 'rows break'} it"


def _described(sentence: str, severity: Severity, column: str | None) -> dict[str, Any]:
    attributes = {"sentence": sentence, "severity": severity, "column": column}
    return {
        "description": f"{sentence}." if severity == "stop" else f"{sentence} (only a warning).",
        "severity": _SEVERITIES[severity],
        "meta": {"attributes": attributes},
    }
