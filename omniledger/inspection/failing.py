"""Which of the investigation's queries would fail now, and why; none of them is carried out."""

from __future__ import annotations

import re

import psycopg

from omniledger.explaining import first_line
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import UPGRADE, Look
from omniledger.inspection.printed import QUOTA, READ, WRITER

_AT_ONE_LOG = "Make what it names, unless nothing asks or writes that here."

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def quota(look: Look) -> Answer:
    """Whether the query of the quota check can be planned."""
    why = _failure(look, QUOTA)
    if why is None:
        return Answer(State.IN_ORDER, "its query runs")
    return Answer(
        State.DRIFT,
        f"it fails: {why}",
        "Nobody's limit is enforced, or nobody is let through: as the gateway takes the error.",
        UPGRADE,
    )


def others(look: Look) -> Answer:
    """Which of the other printed queries, and the chat writer's INSERT, would fail."""
    failures = {
        name: why
        for name, query in READ.items()
        if query is not QUOTA and (why := _failure(look, query)) is not None
    }
    if (why := _refused_write(look)) is not None:
        failures["what the chat writer writes"] = why
    # All but the quota check's, and the writer's.
    asked = len(READ)
    figures = (Figure("queries", asked), Figure("failing", len(failures)))
    if not failures:
        return Answer(State.IN_ORDER, f"all {asked} can be planned", figures=figures)
    told = "; ".join(f"{name}: {why}" for name, why in failures.items())
    return Answer(
        State.DRIFT,
        f"{len(failures)} of {asked} fail: {told}",
        "The pages that ask them show an error, and a writer that swallows errors loses rows.",
        _AT_ONE_LOG if look.kind(look.old_name) == "v" else look.way_on,
        figures,
    )


def _failure(look: Look, query: str) -> str | None:
    """Why a query can't be planned, or None where it can.

    Raises:
        InsufficientPrivilege: we may not read what it reads, so that there is no telling.
    """
    asked = _PARAMETER.sub("null", query.strip().rstrip(";"))
    return _refusal(look, f"explain {asked}")


def _refused_write(look: Look) -> str | None:
    """Why the INSERT would be refused; it is only parsed, for which nobody needs the right."""
    numbers: dict[str, int] = {}
    query = _PARAMETER.sub(
        lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", WRITER.strip()
    )
    why = _refusal(look, f"prepare omniledger_writer as {query}", look.settings.legacy_schema)
    if why is None:
        look.connection.execute("deallocate omniledger_writer")
    return why


def _refusal(look: Look, statement: str, schema: str | None = None) -> str | None:
    try:
        with look.connection.transaction():
            if schema is not None:
                # Where the gateway's own search path leads, nobody else can see.
                look.connection.execute(
                    "select set_config('search_path', quote_ident(%s), true)", (schema,)
                )
            with psycopg.ClientCursor(look.connection) as cursor:
                cursor.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.ProgrammingError as error:
        return first_line(error)
    return None
