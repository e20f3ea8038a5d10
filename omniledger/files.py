"""Files that are whole whenever somebody reads them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryFile

from omniledger.embedded.locks import claim


def require_room(folder: Path, size: int = 1) -> None:
    """Write a little into a folder and remove it again; the folder is made where it isn't there.

    Args:
        size: how much, bytes.

    Raises:
        OSError: it can't be written, or is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder) as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside `path` that takes its place at the end of the block, once it is on the disk.

    Until then, and if the block fails, what was there before stays. Drafts that a killed process
    left are removed; who is at work on one holds a lock on it.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.draft"):
        _remove_if_left(left)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    held = _hold(draft)
    try:
        yield draft
        os.fsync(held)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink()
        os.close(held)


def _hold(draft: Path) -> int:
    """Make the draft and lock it, so that nobody takes it for one that was left."""
    while True:
        held = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        # Where a file system knows no locks, nobody else gets one either.
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
        with suppress(OSError):
            if os.path.samestat(os.fstat(held), draft.stat()):
                return held
        # Removed between the two.
        os.close(held)


def _remove_if_left(draft: Path) -> None:
    with suppress(OSError), claim(draft) as held:
        if held is not None:
            draft.unlink()
