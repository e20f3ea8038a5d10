"""A kill as code sees it from inside, which nothing of ours catches, and processes to kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omniledger.settings import PROJECT_DIR


class Killed(BaseException):
    """What ends a process as a signal does."""


@contextmanager
def killed_at(where: object, step: str) -> Iterator[None]:
    """Die when `step` of a module is called; the block has to come to it."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(where, step, die)
        yield


def begun(code: str, argument: str | Path, says: str) -> subprocess.Popen[str]:
    """A process of its own that has come to say a line; its input is a pipe, to end it by."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, argument],
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{says}\n"
    return process
