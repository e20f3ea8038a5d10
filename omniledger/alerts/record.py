"""The record of alerts: what began, what ended, and what of it was told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from omniledger.database import Connection

USED = " has used "
"""What a quota alert says between its user and the figures."""

_OPEN = """
insert into ledger.alerts (kind, subject, sentence)
values (%s, %s, %s)
on conflict (kind, subject) where resolved_at is null do nothing
"""

_RESOLVE = """
update ledger.alerts
set resolved_at = now()
where
    resolved_at is null
    and kind = any(%(seen)s)
    and not (kind, subject) in (select * from unnest(%(kinds)s::text [], %(subjects)s::text []))
"""

# An event that ended before anybody was told of it is history, not news; but one whose end is no
# news is told for a day all the same, as after quiet hours over midnight. What some channels missed
# is news to them for as long as nothing newer is to be told of it.
_UNTOLD = """
select
    id,
    kind,
    sentence,
    resolved_at is not null and not kind = any(%(endless)s) as is_over,
    told_at is not null and (resolved_at is null or end_told_at is not null) as is_told,
    missed_by
from ledger.alerts
where
    told_at is null and resolved_at is null
    or told_at is null and kind = any(%(endless)s) and opened_at > now() - interval '1 day'
    or told_at is not null and resolved_at is not null and end_told_at is null
    and not kind = any(%(endless)s)
    or cardinality(missed_by) > 0
    and told_at is not null
    and (resolved_at is null or end_told_at is not null)
order by opened_at, id
"""

_KNOWN = """
select distinct subject from ledger.alerts where kind = %s and subject = any(%s)
"""

_TOLD = """
update ledger.alerts
set
    told_at = coalesce(told_at, now()),
    end_told_at = case when resolved_at is not null then coalesce(end_told_at, now()) end,
    attempts = attempts + 1,
    missed_by = %(missed)s,
    last_failure = null
where id = %(id)s
"""

_FAILED = """
update ledger.alerts set attempts = attempts + 1, last_failure = %s where id = %s
"""


_LISTED = """
select
    kind, subject, sentence, opened_at, resolved_at, told_at, end_told_at, last_failure, missed_by
from ledger.alerts
where resolved_at is null or %(with_past)s
order by opened_at desc, id desc
limit 1000
"""


@dataclass(frozen=True)
class Event:
    """Something that is wrong now.

    Attributes:
        kind: what sort of thing, e.g. `quota`.
        subject: which one, the same for as long as the event lasts.
        sentence: what a person reads, without a full stop.
    """

    kind: str
    subject: str
    sentence: str


@dataclass(frozen=True)
class News:
    """An event's beginning or end that not every channel was told yet.

    Attributes:
        is_told: whether some channel took it.
        missed_by: the places, from 1, of the channels that did not take what was told last: this,
            or the beginning of what is over now.
    """

    id: int
    kind: str
    sentence: str
    is_over: bool
    is_told: bool
    missed_by: list[int]

    def is_for(self, place: int) -> bool:
        """Whether a channel is to be told; of an end only where it knows of the beginning."""
        if self.is_told:
            return place in self.missed_by
        return not (self.is_over and place in self.missed_by)


def keep(connection: Connection, events: Sequence[Event], seen: Collection[str]) -> None:
    """Record what began, and the end of what is no longer there.

    Args:
        connection: in autocommit or not; the caller commits.
        events: all that is wrong now.
        seen: the kinds that could be looked at; what can't be seen has not ended.
    """
    for event in events:
        connection.execute(_OPEN, (event.kind, event.subject, event.sentence))
    connection.execute(
        _RESOLVE,
        {
            "seen": list(seen),
            "kinds": [event.kind for event in events],
            "subjects": [event.subject for event in events],
        },
    )


def known(connection: Connection, kind: str, subjects: Collection[str]) -> set[str]:
    """Those of the subjects that there ever was an event of."""
    return {subject for (subject,) in connection.execute(_KNOWN, (kind, list(subjects)))}


def untold(connection: Connection, endless: Collection[str] = ()) -> list[News]:
    """What is to be told, oldest first.

    Args:
        endless: the kinds whose end is no news.
    """
    return [News(*row) for row in connection.execute(_UNTOLD, {"endless": list(endless)})]


def listed(connection: Connection, *, with_past: bool) -> list[dict[str, Any]]:
    """The events that last, or all that ever were, newest first."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(_LISTED, {"with_past": with_past}).fetchall()


def mark_told(connection: Connection, news: News, missed: Sequence[int]) -> None:
    """Remember that it was told, and which channels, by their places, did not take it."""
    connection.execute(_TOLD, {"id": news.id, "missed": list(missed)})


def mark_failed(connection: Connection, news: News, why: str) -> None:
    """Remember that it could not be told, to try again."""
    connection.execute(_FAILED, (why, news.id))
