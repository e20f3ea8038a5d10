"""An upgrade that is killed, anywhere and in any way, goes on and has lost nothing.

`OMNILEDGER_FAULT_ROUNDS` says how many rounds, `OMNILEDGER_FAULT_SEED` which one is the first; each
round prints its seed and its kills, and a seed makes the same choices again.
"""

import os
from pathlib import Path

import pytest

from tests.faults.harness import STEPS, CrashServer, Stage, broken_promises, fill, seeded
from tests.faults.writers import wait_for_writes, writing

WAYS = ("process", "backend", "server")
HISTORY = 12_000
FIRST = int(os.environ.get("OMNILEDGER_FAULT_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("OMNILEDGER_FAULT_ROUNDS", "1")))

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(crash_server: CrashServer, tmp_path: Path) -> Stage:
    dsn = crash_server.server.state("investigation")
    fill(dsn, HISTORY)
    return Stage(crash_server, dsn, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_each_step_it_goes_on(
    stage: Stage, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with writing(stage.dsn, seed) as writers:
        for number, step in enumerate(STEPS):
            stage.kill_at(step, WAYS[(seed + number) % 3])
            wait_for_writes(writers)
        last = stage.start()
        assert last.end() == 0, last.said()
    told(capsys, seed, stage)
    assert len(stage.kills) == len(STEPS)
    assert [fault for writer in writers for fault in writer.faults()] == []
    assert broken_promises(stage.dsn, HISTORY) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_moment_it_goes_on(
    stage: Stage, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chances = seeded(seed)
    with writing(stage.dsn, seed) as writers:
        # An upgrade takes a second or two; later and later, so that it ends at some time.
        moments = sorted(chances.uniform(0.4, 1.6) for _ in range(2))
        for moment in moments:
            if not stage.kill_after(moment, chances.choice(WAYS)):
                break
        last = stage.start()
        assert last.end() == 0, last.said()
    told(capsys, seed, stage)
    assert [fault for writer in writers for fault in writer.faults()] == []
    assert broken_promises(stage.dsn, HISTORY) == []


def told(capsys: pytest.CaptureFixture[str], seed: int, stage: Stage) -> None:
    """Say what was done, also where the test passes."""
    with capsys.disabled():
        print(f"\n  seed {seed}: {len(stage.kills)} kills: {', '.join(stage.kills)}")  # noqa: T201
