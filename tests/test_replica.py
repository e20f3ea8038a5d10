"""A hot standby as DATABASE_URL: what reads works, what writes is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omniledger.database import Dsn
from omniledger.runs import recorded
from tests.conftest import ask
from tests.migrations.operator import omniledger
from tests.replica import Pair, followed
from tests.test_cli import refusal, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with followed(tmp_path_factory.mktemp("replica")) as pair:
        yield pair


@pytest.fixture(scope="module")
def published(pair: Pair) -> Dsn:
    return pair.followed(pair.primary.state("published_whole:upgraded"))


@pytest.fixture(scope="module")
def drifted(pair: Pair) -> Dsn:
    return pair.followed(pair.primary.state("investigation"))


READS = (
    "merge status",
    "runs",
    "users list",
    "prices list",
    "models list",
    "alerts list",
    "bill list",
    "gate explain",
    "merge verify",
)

WRITES = (
    "merge run",
    "merge retry-quarantine",
    "prune --keep-days 400",
    "prices update",
    "users unmap 1",
    "models set claude-sonnet-4-5 --from 2026-01-01",
    "alerts look",
)


def test_the_inspection_says_of_a_replica_what_it_says_of_its_original(pair: Pair) -> None:
    dsn = pair.primary.state("investigation")
    here, there = (omniledger(one, "inspect", "--json") for one in (dsn, pair.followed(dsn)))
    assert there.code == here.code == 1
    told, told_there = (
        {one["question"]: one["state"] for one in said.document()["findings"]}
        for said in (here, there)
    )
    assert told_there == told


@pytest.mark.parametrize("command", READS)
def test_what_reads_says_the_same_on_a_replica(pair: Pair, published: Dsn, command: str) -> None:
    here = omniledger(replace(pair.primary.dsn, dbname=published.dbname), *command.split())
    assert omniledger(published, *command.split()) == here


@pytest.mark.parametrize("command", WRITES)
def test_what_writes_is_refused_on_a_replica(published: Dsn, command: str) -> None:
    said = omniledger(published, *command.split())
    assert said.code == 4
    assert said.refusal.endswith(
        "takes no writes, as a replica or a database set to read-only does; name the server that "
        "takes them in DATABASE_URL."
    )


def test_pages_are_built_from_a_replica(published: Dsn, tmp_path: Path) -> None:
    said = omniledger(
        published, "site", "build", OMNILEDGER_SITE_DIR=str(tmp_path), OMNILEDGER_HOME=str(tmp_path)
    )
    assert said.code == 0
    assert (tmp_path / "index.html").read_text().startswith("<!doctype html>")


def test_a_run_is_refused_on_a_replica_before_it_starts_anything(
    published: Dsn, tmp_path: Path
) -> None:
    said = omniledger(published, "run", OMNILEDGER_HOME=str(tmp_path))
    assert said.code == 4 and "takes no writes" in said.refusal
    assert not (tmp_path / "prefect").exists()


def test_an_upgrade_is_refused_on_a_replica(drifted: Dsn) -> None:
    said = refusal(run("upgrade", "head", database=drifted.url(), program="alembic"), 4)
    assert "takes no writes" in said
    assert ask(drifted, "select to_regnamespace('ledger')") == [(None,)]


def test_a_run_at_work_is_not_called_killed_on_a_replica(pair: Pair) -> None:
    dsn = pair.primary.state("empty:upgraded")
    with recorded(dsn) as first:
        first.end("published")
    with recorded(dsn):
        ask(pair.primary.dsn, "checkpoint")  # Commits wait for no disk here.
        there = pair.followed(dsn)
        assert "  running  " in omniledger(there, "runs").output
        [told] = [
            finding
            for finding in omniledger(there, "inspect", "--json").document()["findings"]
            if finding["question"] == "Are figures published?"
        ]
    assert (told["state"], told["evidence"].endswith("was published")) == ("in order", True)
