"""How far a merge is: a bar on a terminal, a line every few seconds otherwise."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from migrations.merge.batches import Progress
from omniledger.screen import is_for_a_person

_LOG_EVERY_SECONDS = 5
_log = logging.getLogger("omniledger.merge")


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows a `Progress`."""
    if not is_for_a_person():
        yield Lines(_log.info)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        shown = Steps()
        tasks: dict[str, int] = {}

        def update(progress: Progress) -> None:
            shown.see(progress)
            name = progress.step.capitalize()
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=None, rate="")
            bar.update(
                bar.task_ids[tasks[name]],
                completed=progress.done,
                total=progress.total or None,
                rate=shown.rate_in_words(progress),
            )

        yield update


class Steps:
    """When the step that is under way began, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step = ""
        self._began = clock()

    def see(self, progress: Progress) -> bool:
        """Take note; whether this is a new step."""
        is_new = progress.step != self._step
        if is_new:
            self._step, self._began = progress.step, self._clock()
        return is_new

    def rate(self, progress: Progress) -> float:
        """Rows a second since the step began; 0 where it is too early to say."""
        return progress.done / max(self._clock() - self._began, 0.001)

    def rate_in_words(self, progress: Progress) -> str:
        """The rate, or nothing where there is none."""
        return f"{self.rate(progress):,.0f} rows/s" if progress.done else ""

    def seconds_left(self, progress: Progress) -> float:
        """How long the step goes on at this rate."""
        return (progress.total - progress.done) / max(self.rate(progress), 0.001)


class Lines(Steps):
    """A line when a step begins, one every few seconds, and one when its last row is done."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._say = say
        self._last = clock()

    def __call__(self, progress: Progress) -> None:
        if self.see(progress):
            self._last = self._clock()
            self._say(f"Merge: {progress.step}.")
            return
        is_done = 0 < progress.total == progress.done
        if is_done or self._clock() - self._last >= _LOG_EVERY_SECONDS:
            self._last = self._clock()
            self._say(self._line(progress, is_done))

    def _line(self, progress: Progress, is_done: bool) -> str:
        of = f" of {progress.total:,}" if progress.total else ""
        line = f"Merge: {progress.step}, {progress.done:,}{of} rows, {self.rate_in_words(progress)}"
        if is_done:
            return f"{line}, done."
        if not progress.total:
            return f"{line}."
        return f"{line}, about {_span(self.seconds_left(progress))} left."


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
