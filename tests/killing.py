"""A kill as code sees it from inside: it ends at a call, and nothing of ours catches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


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
