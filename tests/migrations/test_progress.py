"""What a person sees of a merge: each step by name, its rows, its rate and the time left."""

from dataclasses import dataclass, field

from migrations.merge.batches import Progress
from migrations.merge.progress import Lines


@dataclass
class Watched:
    """Lines on a clock that the test turns."""

    now: float = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.show = Lines(self.said.append, lambda: self.now)

    def at(self, seconds: float, step: str, done: int = 0, total: int = 0) -> list[str]:
        """What is said newly when this is shown at that time."""
        self.now, before = seconds, len(self.said)
        self.show(Progress(step, done, total))
        return self.said[before:]


def test_a_step_is_named_when_it_begins() -> None:
    watched = Watched()
    assert watched.at(0, "watching") == ["Merge: watching."]
    assert watched.at(1, "copying", 0, 1_000_000) == ["Merge: copying."]


def test_a_line_every_few_seconds_says_rows_rate_and_time_left() -> None:
    watched = Watched()
    watched.at(0, "copying", 0, 1_000_000)
    assert watched.at(1, "copying", 40_000, 1_000_000) == []
    assert watched.at(5, "copying", 250_000, 1_000_000) == [
        "Merge: copying, 250,000 of 1,000,000 rows, 50,000 rows/s, about 15 s left."
    ]
    assert watched.at(6, "copying", 300_000, 1_000_000) == []


def test_long_waits_are_said_in_minutes_and_hours() -> None:
    watched = Watched()
    watched.at(0, "copying", 0, 100_000_000)
    [minutes] = watched.at(10, "copying", 1_000_000, 100_000_000)
    assert minutes.endswith("about 16 min left.")
    [hours] = watched.at(1_000, "copying", 2_000_000, 100_000_000)
    assert hours.endswith("about 13.6 h left.")


def test_the_last_row_of_a_step_is_always_said() -> None:
    watched = Watched()
    watched.at(0, "matching", 0, 100)
    assert watched.at(0.5, "matching", 100, 100) == [
        "Merge: matching, 100 of 100 rows, 200 rows/s, done."
    ]


def test_a_step_of_unknown_length_has_no_time_left() -> None:
    watched = Watched()
    watched.at(0, "catching up")
    assert watched.at(10, "catching up", 500) == ["Merge: catching up, 500 rows, 50 rows/s."]
