"""The rule that a mart is not older than what was written before the run began.

Models find the days that changed; this finds them a second time and another way. Each row of the
raw logs carries the transaction that wrote it last, and each day of a mart the oldest one that was
under way when it was built: a day is stale where a row of it was written after that and before the
run began. Only rows written since the last publishing are looked at, which an index finds. Pruned
days are never built again, so nothing makes them stale: the suite of pruned days warns of what
comes there.
"""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.rules import no_rows
from expectations.scope import Scope, literal

_STALE = """
select
    {day}, changed.rows as rows_changed, changed.first_id, built.built_xmin, changed.change_xid
from (
    select
        {date_of} as {day},
        count(*) as rows,
        min(raw.id) as first_id,
        max(raw.change_xid) as change_xid
    from {raw} as raw
    where
        raw.change_xid >= {since}
        and raw.change_xid < {began}
        and raw.timestamp < {tomorrow}
    group by 1
) as changed
inner join (
    select {day}, min(built_xmin) as built_xmin
    from batch
    group by {day}
) as built using ({day})
where
    built.built_xmin <= changed.change_xid
    and {is_kept}
order by {day} desc
"""


# Only for days without figures a row is looked for, by its time. A clock that was never set says
# 1970; of days before 2000 nothing is said.
_DAYS_LOST = """
select days.day::date as usage_date
from (
    select greatest({first_date}, '2000-01-01'::date) as first_date
    from (select min(raw.timestamp) as first_at from omni2.audit_logs as raw) as log
) as log
cross join generate_series(log.first_date, {today}, interval '1 day') as days (day)
where
    days.day::date not in (select usage_date from batch where usage_date is not null)
    and {is_kept}
    and exists (
        select 1
        from omni2.audit_logs as raw
        where
            raw.timestamp >= {starts_at}
            and raw.timestamp < {ends_at}
            and raw.timestamp < {tomorrow}
            and coalesce(raw.change_xid, 0) < {began}
    )
order by 1
"""


def up_to_date(scope: Scope, mart: str, day: str, raw: str) -> list[Expectation]:
    """That no built day is older than a change of it; nothing where no run's beginning is known.

    Args:
        mart: its name.
        day: its column of days.
        raw: the log that it is built of, with its schema.
    """
    since = scope.published_xmin.get(mart)
    if scope.began is None or since is None:
        return []
    stale = _STALE.format(
        day=day,
        raw=raw,
        date_of=scope.date_of("raw.timestamp"),
        since=since,
        began=scope.began.xmin,
        tomorrow=scope.starts_at(f"{literal(scope.today)} + 1"),
        is_kept=scope.is_kept(day),
    )
    sentence = "No day is older than a change of it from before the run"
    return [no_rows(sentence, stale, column=day)]


def no_day_lost(scope: Scope) -> list[Expectation]:
    """That each day with a row from before the run is there, where it is known when that began."""
    if scope.began is None:
        return []
    query = _DAYS_LOST.format(
        first_date=scope.date_of("log.first_at"),
        today=literal(scope.today) + "::date",
        tomorrow=scope.starts_at(f"{literal(scope.today)}::date + 1"),
        starts_at=scope.starts_at("days.day::date"),
        ends_at=scope.starts_at("days.day::date + 1"),
        is_kept=scope.is_kept("days.day::date"),
        began=scope.began.xmin,
    )
    return [no_rows("No day of the ledger is missing", query, column="usage_date")]
