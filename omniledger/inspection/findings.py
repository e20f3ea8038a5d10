"""What an inspection finds."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one thing is."""

    IN_ORDER = "in order"
    DRIFT = "drift"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Finding:
    """The answer to one question about the database.

    Attributes:
        question: in plain words.
        state: in order, drifted, or not to be told.
        evidence: what was seen.
        advice: what to do; empty where nothing is to be done.
    """

    question: str
    state: State
    evidence: str
    advice: str = ""


def exit_code(findings: list[Finding]) -> int:
    """0 where all is in order, 1 where something drifted, 2 where something can't be told.

    What can't be seen counts most: it must never pass for in order, or for all there is.
    """
    states = {finding.state for finding in findings}
    if State.CANNOT_TELL in states:
        return 2
    return 1 if State.DRIFT in states else 0
