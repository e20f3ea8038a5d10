"""Judge the figures that a run has built: every suite, one checkpoint, one verdict."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from expectations.scope import Scope
from expectations.verdict import Cell, Judgement, Severity, Verdict
from omniledger.database import Connection, Dsn, as_json, connect
from omniledger.errors import DatabaseError, LocalError, NotReadyError, PassingError
from omniledger.explaining import first_line, is_passing
from omniledger.marts import MARTS, changed_days, columns_of_build
from omniledger.publish import in_one_sentence
from omniledger.runs import Began
from omniledger.settings import get_settings

if TYPE_CHECKING:
    from great_expectations.checkpoint.checkpoint import CheckpointResult
    from great_expectations.core import ExpectationValidationResult

__all__ = ["Judgement", "Verdict", "judge", "warm_up"]

_FOUND_BEFORE = "select from ledger.gate_results where run_id = %s limit 1"
_FORGET = "delete from ledger.gate_results where run_id = %s"

_STORE = """
insert into ledger.gate_results (
    run_id, suite, expectation, column_name, severity, passed, observed, unexpected_count, sample,
    judged_at
)
select
    %(run_id)s, suite, expectation, column_name, severity, passed, observed, unexpected_count,
    sample, %(judged_at)s
from jsonb_to_recordset(%(results)s) as judged (
    suite text, expectation text, column_name text, severity text, passed boolean, observed text,
    unexpected_count bigint, sample jsonb
)
"""


def warm_up() -> None:
    """Import Great Expectations, which takes seconds; a flow may do it while it waits for dbt."""
    # Said before the import: nothing here may call home.
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import expectations.project  # noqa: F401


def judge(
    dsn: Dsn, run_id: UUID, site_dir: Path, home: Path, began: Began | None = None
) -> Verdict:
    """Judge the built marts and the raw rows of the days to be published.

    Every mart is judged as a whole, in the database; of the raw ledger only the days whose
    figures differ from the published ones are read. The verdict is stored in
    `ledger.gate_results`, in place of an earlier one of the same run; its pages are added to the
    Data Docs below `site_dir`. What was written before `began` must be in the figures.

    Raises:
        DatabaseError: the database can't be used.
        NotReadyError: the marts weren't built, or a rule can't be asked of them.
        LocalError: the pages can't be written.
    """
    warm_up()
    with in_one_sentence("judge the figures"), connect(dsn, autocommit=True) as connection:
        [(judged_at,)] = connection.execute("select now()").fetchall()
        zone = get_settings().reporting_timezone
        days, hourly_days = _days(connection)
        scope = Scope.read(connection, zone, days, began, hourly_days)
        run_name = f"{judged_at:%Y%m%dT%H%M%S}-{run_id}"
        with _quiet(), _sentences(site_dir, home):
            result = _checkpoint(dsn, scope, site_dir, home, run_name)
        results = tuple(_judgements(result))
        verdict = Verdict(
            run_id=run_id,
            passed=all(r.passed or r.severity == "warn" for r in results),
            results=results,
        )
        _store(connection, verdict, judged_at)
    return verdict


def _days(connection: Connection) -> tuple[set[date], set[date]]:
    """The days to be published of the usage marts, whose raw rows are read, and of the hours."""
    for mart in MARTS:
        columns_of_build(connection, mart)
    usage: set[date] = set()
    hours: set[date] = set()
    for mart in MARTS:
        if mart.day == "usage_date":
            usage.update(changed_days(connection, mart))
        elif mart.name == "fct_hourly_health":
            hours.update(changed_days(connection, mart))
    return usage, hours


def _checkpoint(
    dsn: Dsn, scope: Scope, site_dir: Path, home: Path, run_name: str
) -> CheckpointResult:
    from expectations import (
        anomalies,
        audit_logs,
        bill_focus,
        bill_reconciliation,
        daily_health,
        daily_mcp_cost,
        daily_quota,
        daily_tool_usage,
        daily_usage,
        dimensions,
        health_log,
        incidents,
        pruned_days,
    )
    from expectations.project import Project

    with Project(dsn, home, site_dir) as project:
        for suites in (
            daily_usage,
            daily_quota,
            daily_tool_usage,
            daily_mcp_cost,
            daily_health,
            incidents,
            bill_focus,
            bill_reconciliation,
            dimensions,
            audit_logs,
            health_log,
            anomalies,
            pruned_days,
        ):
            for judged in suites.judged(scope):
                project.judge(judged)
        return project.run(run_name)


def _judgements(result: CheckpointResult) -> Iterator[Judgement]:
    for validation in result.run_results.values():
        for one in validation.results:
            yield _judgement(validation.suite_name, one)


def _judgement(suite: str, result: ExpectationValidationResult) -> Judgement:
    from expectations.rules import cell, observed

    config = result.expectation_config
    if config is None:
        raise NotReadyError(f"The gate lost a rule of the suite {suite}; run again.")
    said: dict[str, Any] = (config.meta or {})["attributes"]
    severity: Severity = said["severity"]
    sentence: str = said["sentence"]
    failure = _failure(result)
    if failure is not None:
        kind = PassingError if "OperationalError" in failure else NotReadyError
        raise kind(
            f'The gate can\'t ask whether "{sentence}" in {suite}: {failure}; nothing is published.'
        )
    # Of a table without rows Great Expectations says that none break the rule, and not how many.
    count = int(result.result["unexpected_count"] or 0)
    sample: list[dict[str, Cell]] = [
        {name: cell(value) for name, value in row.items()}
        for row in result.result.get("partial_unexpected_index_list") or ()
    ]
    return Judgement(
        suite=suite,
        expectation=sentence,
        column=said.get("column"),
        severity=severity,
        passed=bool(result.success),
        observed=observed(count),
        unexpected_count=count,
        sample=tuple(sample),
    )


def _failure(result: ExpectationValidationResult) -> str | None:
    """Why a rule could not be asked: the first line of the database's own words."""
    info: Any = result.exception_info or {}
    for one in (info, *(value for value in info.values() if isinstance(value, dict))):
        if one.get("raised_exception"):
            return str(one.get("exception_message", "")).strip().splitlines()[0].rstrip(".")
    return None


def _store(connection: Connection, verdict: Verdict, judged_at: datetime) -> None:
    rows = [
        {
            "suite": r.suite,
            "expectation": r.expectation,
            "column_name": r.column,
            "severity": r.severity,
            "passed": r.passed,
            "observed": r.observed,
            "unexpected_count": r.unexpected_count,
            "sample": list(r.sample),
        }
        for r in verdict.results
    ]
    with connection.transaction():
        # Runners may add what was found, and take nothing back; a run judges once.
        if connection.execute(_FOUND_BEFORE, [verdict.run_id]).rowcount:
            connection.execute(_FORGET, [verdict.run_id])
        connection.execute(
            _STORE,
            {"run_id": verdict.run_id, "judged_at": judged_at, "results": as_json(rows)},
        )


@contextmanager
def _sentences(site_dir: Path, home: Path) -> Iterator[None]:
    try:
        yield
    except ConnectionError as error:
        # What Great Expectations raises for a table, too, that it can't find or read.
        kind = PassingError if is_passing(str(error)) else DatabaseError
        raise kind(
            f"The gate can't read what it has to judge: {first_line(error)}; nothing is published."
        ) from None
    except OSError as error:
        raise LocalError(
            f"The pages of the gate can't be written: {error}; look at {site_dir} and {home}."
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep log lines of Great Expectations from terminals: what matters is in the verdict."""
    log = logging.getLogger("great_expectations")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
