"""Numbers that only another type of a column lets in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from expectations import gate
from omniledger import revisions
from tests.conftest import Server, ask
from tests.models.conftest import Prepared

pytestmark = pytest.mark.slow


def test_a_person_beyond_all_numbers_of_persons_is_nobody_and_warned_of(
    server: Server, prepared: Prepared, tmp_path: Path
) -> None:
    wide = server.state("investigation")
    ask(wide, "alter table omni2.audit_logs alter user_id type bigint")
    revisions.upgrade(wide)
    prepared.states["wide ids of users"] = wide.dbname
    dsn = prepared.restore("wide ids of users").dsn
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success, cost_usd)"
        " values (5000000000, '2026-02-11 12:00+00', 'whose?', true, 0.5)",
    )
    prepared.dbt(dsn, "run")
    assert ask(
        dsn,
        "select user_id, requests, cost_recorded_usd from analytics_build.fct_daily_usage"
        " where usage_date = '2026-02-11' and requests > 0",
    ) == [(None, 1, Decimal("0.5"))]
    verdict = gate.judge(dsn, uuid4(), tmp_path / "site", tmp_path)
    assert verdict.passed
    assert "The user of every request is known" in [w.expectation for w in verdict.warnings]
