"""The investigation's questions, each asked of the live database."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from omniledger.errors import OmniledgerError
from omniledger.explaining import first_line, is_of_another_server, said_by_another_server
from omniledger.inspection import (
    by_hand,
    doubles,
    failing,
    health,
    logs,
    people,
    quota,
    raw_rows,
    runs,
    sums,
    upgrading,
    writers,
)
from omniledger.inspection.findings import Answer, Finding, State
from omniledger.inspection.looking import Look, TooDear

QUESTIONS: dict[str, Callable[[Look], Answer]] = {
    "Is the schema upgraded?": upgrading.revision,
    "What is left to upgrade?": upgrading.left,
    "What is in omni2.audit_logs?": logs.ledger,
    "Is there one audit log?": logs.old_name,
    "Does the quota check work?": failing.quota,
    "Do the gateway's other queries work?": failing.others,
    "Who has used up the day's limit?": quota.over,
    "Is a request logged twice?": doubles.logged_twice,
    "Do the sums add up?": sums.add_up,
    "Is every old row accounted for?": logs.certificate,
    "Is everybody known to the gateway?": people.unknown,
    "Was anything changed by hand?": by_hand.changes,
    "Are health checks running?": health.running,
    "Are figures published?": runs.published,
    "Are old raw rows removed?": raw_rows.removed,
    "Who writes the logs?": writers.who,
}


def ask(look: Look) -> list[Finding]:
    """Ask every question; what can't be answered is "cannot tell", never "in order"."""
    with look.reading():
        look.inserted_before = writers.inserted(look)
    *first, last = QUESTIONS.items()
    findings = [_asked(look, *question) for question in first]
    writers.watch(look)
    return [*findings, _asked(look, *last)]


def _asked(look: Look, question: str, answer: Callable[[Look], Answer]) -> Finding:
    try:
        with look.reading():
            return Finding(question, *answer(look))
    except psycopg.errors.InsufficientPrivilege as error:
        return Finding(
            question,
            State.CANNOT_TELL,
            first_line(error),
            "The inspecting user may not read what would tell.",
            "Inspect as the owner, or grant SELECT on it.",
            lacks_rights=True,
        )
    except psycopg.errors.LockNotAvailable:
        return Finding(
            question,
            State.CANNOT_TELL,
            f"locked: {look.locked()}",
            "Somebody keeps a table locked against readers.",
            "End that transaction, or wait for its end, and inspect again.",
        )
    except (TooDear, psycopg.errors.QueryCanceled):
        return Finding(
            question,
            State.CANNOT_TELL,
            "the answer would take long on tables of this size",
            "No index leads to it.",
            "Run `omniledger inspect --exact` when the database has time for it.",
        )
    except psycopg.OperationalError as error:
        if not is_of_another_server(error):
            raise
        return Finding(
            question,
            State.CANNOT_TELL,
            said_by_another_server(error),
            "The server of a foreign table can't be reached; this database is well.",
            "Start that server, or look at the options of the foreign server and the user mapping.",
        )
    except (
        psycopg.ProgrammingError,
        psycopg.DataError,
        psycopg.InternalError,
        OmniledgerError,
    ) as error:
        return Finding(
            question,
            State.CANNOT_TELL,
            first_line(error),
            "The tables are of another shape than this question knows.",
            "Look at the table that it names.",
        )
