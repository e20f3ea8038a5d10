"""What an inspection finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from omniledger.counting import Count

_SHOWN = 5


class State(StrEnum):
    """How one thing is."""

    IN_ORDER = "in order"
    DRIFT = "drift"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Figure:
    """A number of the evidence, for programs; `is_exact` is False where it is an estimate."""

    name: str
    value: int | float | str | None
    is_exact: bool = True

    @classmethod
    def of(cls, name: str, count: Count) -> "Figure":
        """A number of rows."""
        return cls(name, count.rows, count.is_exact)


class Answer(NamedTuple):
    """How it is, what was seen, what that means, and what to do."""

    state: State
    evidence: str
    meaning: str = ""
    advice: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The answer to one question about the database.

    Attributes:
        question: in plain words.
        state: in order, drifted, or not to be told.
        evidence: what was seen.
        meaning: what follows from it; empty where that is plain.
        advice: what to do; empty where nothing is to be done.
        figures: the numbers of the evidence, each exact or an estimate.
        lacks_rights: whether it can't be told because the inspecting user may not read.
    """

    question: str
    state: State
    evidence: str
    meaning: str = ""
    advice: str = ""
    figures: tuple[Figure, ...] = ()
    lacks_rights: bool = False


def first_few(items: Sequence[object]) -> str:
    """The first five in words, and how many more there are."""
    more = len(items) - _SHOWN
    return ", ".join(map(str, items[:_SHOWN])) + (f" and {more:,} more" if more > 0 else "")


def exit_code(findings: list[Finding]) -> int:
    """0 where all is in order, 1 where something drifted, 2 where something can't be told.

    What can't be seen counts most: it must never pass for in order, or for all there is.
    """
    states = {finding.state for finding in findings}
    if State.CANNOT_TELL in states:
        return 2
    return 1 if State.DRIFT in states else 0
