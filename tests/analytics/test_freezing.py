"""Days that the source has pruned stay on the copy as they are published there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from expectations import gate
from omniledger.analytics import attaching
from omniledger.analytics.copying import copy_changes
from omniledger.database import connect, session
from omniledger.pruning.removing import look
from omniledger.publish import publish
from omniledger.roles import RUNNER
from omniledger.runs import recorded
from tests.analytics.conftest import Pair
from tests.models.test_roles import member

NEWEST = "select max(before_date) from ledger.prunings"

FIGURES = """
select to_jsonb(m) - 'built_at' - 'built_xmin'
from {schema}.fct_daily_usage as m
where usage_date {days}
order by usage_key
"""


def run(pair: Pair, *, publishes: bool = True) -> None:
    """A run of the analytics server, the gate apart."""
    with recorded(pair.analytics) as one:
        pair.copy()
        one.begin()
        pair.dbt(pair.analytics, "run")
        if publishes:
            with connect(pair.analytics, autocommit=True) as connection:
                connection.execute(
                    "insert into ledger.gate_results"
                    " (run_id, suite, expectation, severity, passed)"
                    " values (%s, 'daily_usage', 'All is well', 'stop', true)",
                    [one.run_id],
                )
                publish(connection, one.run_id)
        one.end("published" if publishes else "refused")


def prune_source(pair: Pair, before: str) -> None:
    pair.at_source(
        "insert into ledger.prunings (before_date, before_at, built_xmin, finished_at)"
        " values (%s, %s, 1, now())",
        before,
        f"{before} 00:00+00",
    )
    for log in ("audit_logs", "mcp_health_log"):
        pair.at_source(f"delete from omni2.{log} where timestamp < %s", f"{before} 00:00+00")


def figures(pair: Pair, days: str, schema: str = "analytics") -> list[tuple[Any, ...]]:
    return pair.here(FIGURES.format(schema=schema, days=days))


@pytest.fixture(scope="module", autouse=True)
def first(pair: Pair) -> None:
    run(pair)


def test_a_later_price_changes_no_day_that_the_source_pruned(pair: Pair) -> None:
    pruned, kept = figures(pair, "< '2026-03-03'"), figures(pair, ">= '2026-03-03'")
    prune_source(pair, "2026-03-03")
    pair.at_source("update ledger.model_prices set input = input * 100")
    run(pair)
    assert pruned and figures(pair, "< '2026-03-03'") == pruned
    assert figures(pair, "< '2026-03-03'", "analytics_build") == pruned
    assert figures(pair, ">= '2026-03-03'") != kept
    assert pair.here(
        "select count(*) > 0 from omni2.audit_logs where timestamp < '2026-03-03'"
    ) == [(True,)]
    assert pair.here("select before_date, finished_at is null from ledger.prunings") == [
        (date(2026, 3, 3), False)
    ]


def test_a_price_that_comes_after_the_removal_has_the_gate_miss_no_cost(
    pair: Pair, tmp_path: Path
) -> None:
    """Of days that stay as they are: the copy has their rows still."""
    pair.at_source(
        "insert into ledger.model_prices (model, valid_from, input, output, source)"
        " values ('claude-sonnet-4-5', '2026-01-01', 3, 15, 'by hand')"
    )
    run(pair)
    assert pair.here(
        "select count(*) > 0 from analytics.fct_daily_usage where usage_date < '2026-03-03'"
        " and llm_model = 'claude-sonnet-4-5' and cost_recomputed_usd is null"
    ) == [(True,)]
    verdict = gate.judge(pair.analytics, uuid4(), tmp_path / "site", tmp_path / "home")
    assert verdict.passed, verdict.failures


def test_what_was_copied_and_not_published_is_built_and_published_first(pair: Pair) -> None:
    pair.at_source(
        "insert into omni2.audit_logs (timestamp, user_id, question, success, tokens_input)"
        " values ('2026-03-03 12:00+00', 2, 'late', true, 123456)"
    )
    run(pair, publishes=False)
    prune_source(pair, "2026-03-04")
    run(pair)
    assert pair.here(NEWEST) == [(date(2026, 3, 3),)]
    of_day = figures(pair, "= '2026-03-03'")
    assert sum(row["tokens_input"] or 0 for (row,) in of_day) > 123456
    run(pair)
    assert pair.here(NEWEST) == [(date(2026, 3, 4),)]
    assert figures(pair, "= '2026-03-03'") == of_day


def test_a_login_that_only_runs_may_note_what_the_source_pruned(pair: Pair) -> None:
    prune_source(pair, "2026-03-05")
    settings = pair.dbt.settings
    with member(pair.analytics, RUNNER) as runner:
        attaching.attach(pair.analytics, pair.source, settings, runner.user)
        with session(runner) as connection:
            copy_changes(connection, settings)
    assert pair.here(NEWEST) == [(date(2026, 3, 5),)]


def test_what_a_look_finds_of_days_that_the_source_pruned_goes_later(pair: Pair) -> None:
    looked = look(pair.analytics, pair.dbt.settings, date(2026, 2, 20))
    assert [found.rows for found in looked.tables] == [0, 0]
    assert all(found.staying > 0 for found in looked.tables)
    assert all("taken by the next removal" in found.stays_because for found in looked.tables)
