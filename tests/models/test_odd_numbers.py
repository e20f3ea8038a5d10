"""Numbers that only another type of a column lets in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from expectations import gate
from omniledger import modelling, revisions
from omniledger.settings import Settings
from tests.conftest import Server, ask

pytestmark = pytest.mark.slow


def test_a_person_beyond_all_numbers_of_persons_is_nobody_and_warned_of(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation")
    ask(dsn, "alter table omni2.audit_logs alter user_id type bigint")
    revisions.upgrade(dsn)
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success, cost_usd)"
        " values (5000000000, '2026-02-11 12:00+00', 'whose?', true, 0.5)",
    )
    modelling.build(dsn, Settings(home=tmp_path))
    assert ask(
        dsn,
        "select user_id, requests, cost_recorded_usd from analytics_build.fct_daily_usage"
        " where usage_date = '2026-02-11' and requests > 0",
    ) == [(None, 1, Decimal("0.5"))]
    verdict = gate.judge(dsn, uuid4(), tmp_path / "site", tmp_path)
    assert verdict.passed
    assert "The user of every request is known" in [w.expectation for w in verdict.warnings]
