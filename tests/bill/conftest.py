"""An upgraded database, and bills in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omniledger.bill import loading, reading
from omniledger.bill.fetching import KEY
from omniledger.bill.loading import Imported
from omniledger.database import Dsn, connect, target
from omniledger.settings import get_settings
from tests.conftest import Server

SAMPLES = Path(__file__).parent.parent.parent / "samples" / "bill"

DAY = {"starting_at": "2026-03-01T00:00:00Z", "ending_at": "2026-03-02T00:00:00Z"}

Import = Callable[..., list[Imported]]
Save = Callable[[str, object], Path]


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return server.state("empty:upgraded")


@pytest.fixture
def take(dsn: Dsn) -> Import:
    """Import files, as the command does."""

    def take(*files: Path) -> list[Imported]:
        with connect(dsn, autocommit=True) as connection:
            return [loading.take_in(connection, one) for one in reading.documents(files)]

    return take


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a file: a text, bytes, or something as JSON."""

    def save(name: str, content: object) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            written = content if isinstance(content, str) else json.dumps(content)
            path.write_text(written, encoding="utf-8")
        return path

    return save


@pytest.fixture
def command(dsn: Dsn, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line on the test's database."""
    for cached in (get_settings, target):
        cached.cache_clear()
    monkeypatch.setenv("DATABASE_URL", dsn.url())
    monkeypatch.delenv(KEY, raising=False)
    yield CliRunner()
    for cached in (get_settings, target):
        cached.cache_clear()


def usage_bucket(tokens: int = 1000, model: str = "claude-haiku", **period: str) -> dict[str, Any]:
    """A bucket of the usage report."""
    result = {"model": model, "uncached_input_tokens": tokens, "output_tokens": 10}
    return {**DAY, **period, "results": [result]}


def cost_bucket(amount: str = "123.45", **other: Any) -> dict[str, Any]:
    """A bucket of the cost report."""
    result = {
        "currency": "USD",
        "amount": amount,
        "cost_type": "tokens",
        "model": "claude-haiku",
        "token_type": "output_tokens",
        **other,
    }
    return {**DAY, "results": [result]}


def page(*items: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"data": list(items), "has_more": has_more, "next_page": "more" if has_more else None}


def usd(text: str) -> Decimal:
    return Decimal(text)
