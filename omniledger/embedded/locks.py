"""File locks: claims that the kernel lets go of when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def share(path: Path) -> int:
    """Wait for a share of the lock `path`; the descriptor that holds it until it is closed."""
    return _open(path, fcntl.LOCK_SH)


def wait_for_all(path: Path) -> None:
    """Wait until nobody has the lock `path`, or a share of it."""
    os.close(_open(path, fcntl.LOCK_EX))


@contextmanager
def claim(path: Path) -> Iterator[int | None]:
    """Have the lock `path` alone inside the block, or None if somebody else has it.

    It is closed, not unlocked: a process that inherited the descriptor goes on holding it.
    """
    try:
        descriptor = _open(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield None
        return
    try:
        yield descriptor
    finally:
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
