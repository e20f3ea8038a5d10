"""Built marts, and the gate that judges them."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from expectations import gate
from expectations.verdict import Verdict
from omniledger.database import Dsn
from tests.conftest import Server
from tests.expectations.marts import built_marts

Judge = Callable[..., Verdict]


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return built_marts(server)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def judged(dsn: Dsn, run_id: UUID | None = None) -> Verdict:
        return gate.judge(dsn, run_id or uuid4(), tmp_path / "site", tmp_path / "home")

    return judged


def said(verdict: Verdict, suite: str) -> dict[str, str]:
    """What failed in a suite, with its first rows, as the refusal would tell it."""
    return {
        result.expectation: result.sentence()
        for result in (*verdict.failures, *verdict.warnings)
        if result.suite == suite
    }
