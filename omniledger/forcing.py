"""Publishing what the gate refused: an operator's own decision, recorded for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from omniledger.database import Connection, Dsn, as_json
from omniledger.errors import NotReadyError, SettingsError
from omniledger.history import PastRun, find_run, newest_run
from omniledger.turns import turn

if TYPE_CHECKING:
    from omniledger.publish import Published

_OVERRIDDEN = """
select
    suite, expectation, column_name as column, observed, unexpected_count
from ledger.gate_results
where run_id = %s and not passed and severity = 'stop'
order by suite, expectation, column_name
"""

_RECORD = """
insert into ledger.forced_publications (run_id, why, overridden, days, rows_published)
values (%s, %s, %s, %s, %s)
"""

_PUBLISHED_LATER = """
update ledger.runs
set verdict = 'published', reason = 'Published afterwards, with `omniledger publish`.'
where run_id = %s and verdict <> 'published'
"""

_OF_RUN = """
select run_id, forced_at, forced_by, why, overridden
from ledger.forced_publications
where run_id = %s
order by id desc
limit 1
"""

# A refused run leaves the forced figures where they are; a published one replaces them.
_STANDING = """
select run_id, forced_at, forced_by, why, overridden
from ledger.forced_publications
where
    not exists (
        select 1
        from ledger.runs
        where verdict = 'published' and started_at > forced_at
    )
order by id desc
limit 1
"""


@dataclass(frozen=True)
class Forced:
    """Figures that were published although the gate refused them: by which role, when and why.

    `overridden` are the expectations that failed: suite, expectation, column, what was observed.
    """

    run_id: UUID
    at: datetime
    by: str
    why: str
    overridden: Sequence[Mapping[str, Any]]


def publish_built(
    dsn: Dsn, named: str | None = None, *, why: str | None = None
) -> tuple[PastRun, Published]:
    """Publish what the last run built; with `why`, though the gate refused it.

    Args:
        named: the run that is meant, where somebody names it: its id, the first letters of it, or
            `last`. Only of the last run are the built figures.
        why: why it is published all the same.

    Raises:
        SettingsError: the reason is empty, or that is no run's id.
        NotReadyError: there is no run, one is at work, another began since, or the last one built
            nothing whole.
        GateRefused: the gate refused it, and nobody says why to publish it all the same.
    """
    from omniledger.publish import publish

    if why is not None and not why.strip():
        raise SettingsError("Publishing by force is recorded for ever: say why, with --why.")
    with turn(dsn) as connection:
        newest = newest_run(connection)
        if newest is None:
            raise NotReadyError("Nothing is built yet; `omniledger run` builds and publishes.")
        run = newest if named is None else find_run(connection, named)
        if run.run_id != newest.run_id:
            raise NotReadyError(
                f"The run {newest.run_id} began after {run.run_id}, so what is built is not of "
                f"that one any more; start a new one with `omniledger run`."
            )
        published = publish(connection, run.run_id, why=None if why is None else why.strip())
        if why is None:
            # What was refused stays called so, however it was published.
            connection.execute(_PUBLISHED_LATER, [run.run_id])
        return run, published


def record_force(connection: Connection, run_id: UUID, why: str, published: Published) -> None:
    """Record a forced publication, in the transaction that publishes.

    Raises:
        NotReadyError: the gate refused nothing, so there is nothing to force.
    """
    cursor = connection.execute(_OVERRIDDEN, [run_id])
    names = [column.name for column in cursor.description or ()]
    overridden = [dict(zip(names, row, strict=True)) for row in cursor]
    if not overridden:
        raise NotReadyError(
            f"The gate let the run {run_id} pass; publish it with `omniledger publish`, "
            f"without --force."
        )
    days = {mart: [f"{day}" for day in of_mart] for mart, of_mart in published.days.items()}
    values = (run_id, why, as_json(overridden), as_json(days), published.rows)
    connection.execute(_RECORD, values)


def forced(connection: Connection, run_id: UUID) -> Forced | None:
    """Whether the figures of this run were published by force."""
    return _one(connection, _OF_RUN, run_id)


def standing_force(connection: Connection) -> Forced | None:
    """The forced figures that readers see: no run was published since."""
    return _one(connection, _STANDING)


def _one(connection: Connection, query: str, *values: object) -> Forced | None:
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else Forced(*row)
