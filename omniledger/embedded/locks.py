"""File locks: claims that the kernel lets go of when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


def share(path: Path) -> int:
    """Wait for a share of the lock `path`; the descriptor that holds it until it is closed."""
    return _open(path, fcntl.LOCK_SH)


def wait_for_all(path: Path) -> None:
    """Wait until nobody has the lock `path`, or a share of it."""
    os.close(_open(path, fcntl.LOCK_EX))


def wait_to_have(path: Path, seconds: float) -> int | None:
    """Wait at most so long for the lock `path`; the descriptor that holds it alone, or None."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return _open(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return None
        time.sleep(_POLL_SECONDS)


@contextmanager
def claim(path: Path) -> Iterator[int | None]:
    """Have the lock `path` alone inside the block, or None if somebody else has it.

    It is closed, not unlocked: a process that inherited the descriptor goes on holding it.
    """
    descriptor = wait_to_have(path, 0)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody has the lock `path`, or a share of it; nothing is written to know it."""
    try:
        os.close(_open(path, fcntl.LOCK_EX | fcntl.LOCK_NB, os.O_RDONLY))
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Let go at once, for a forked child that has the descriptor too."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _open(path: Path, how: int, access: int = os.O_RDWR | os.O_CREAT) -> int:
    descriptor = os.open(path, access | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
