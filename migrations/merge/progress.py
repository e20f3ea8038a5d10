"""How far a merge is: a bar on a terminal, a line every few seconds otherwise."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from migrations.merge.copy import Progress

_LOG_EVERY_SECONDS = 5
_log = logging.getLogger("omniledger.merge")


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows a `Progress`."""
    if not sys.stderr.isatty():
        yield _logged()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("Merging old rows"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("merge", total=None)
        yield lambda progress: bar.update(task, completed=progress.done, total=progress.total)


def _logged() -> Callable[[Progress], None]:
    last = time.monotonic()

    def log(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY_SECONDS or progress.done == progress.total:
            last = time.monotonic()
            _log.info("Merged %s of %s old rows.", f"{progress.done:,}", f"{progress.total:,}")

    return log
