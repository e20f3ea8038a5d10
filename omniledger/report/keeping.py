"""How the figures are kept: runs, judgements, alerts that last, figures published anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from omniledger.alerts.record import USED
from omniledger.history import FRESHNESS
from omniledger.report.formats import visible
from omniledger.report.snapshot import Row, Snapshot

RUNS_SHOWN = 10
ALERTS_SHOWN = 50
REVISIONS_SHOWN = 25
FORCED_SHOWN = 25

_RUNS = """
select
    runs.started_at,
    runs.finished_at,
    runs.verdict,
    coalesce(runs.reason, '') as reason,
    judged.passed,
    judged.warnings,
    judged.failed
from (
    select *
    from ledger.runs
    order by started_at desc
    limit %(recent)s
) as runs
cross join lateral (
    select
        count(*) filter (where results.passed) as passed,
        count(*) filter (where not results.passed and results.severity = 'warn') as warnings,
        count(*) filter (where not results.passed and results.severity <> 'warn') as failed
    from ledger.gate_results as results
    where results.run_id = runs.run_id
) as judged
order by runs.started_at desc
"""

_LAST_RUN = """
select started_at, finished_at, verdict, coalesce(reason, '') as reason
from ledger.runs
where verdict = %(verdict)s
order by started_at desc
limit 1
"""

# A refused run leaves the forced figures where they are; a published one replaces them.
_FORCED = """
select
    forced_at,
    forced_by,
    why,
    run_id::text as run,
    jsonb_array_length(overridden) as expectations,
    not exists (
        select 1
        from ledger.runs
        where runs.verdict = 'published' and runs.started_at > forced_at
    ) as stands
from ledger.forced_publications
order by id desc
limit %(shown)s
"""

_ALERTS = """
select
    alerts.kind,
    alerts.subject,
    alerts.sentence,
    alerts.opened_at,
    alerts.told_at,
    alerts.user_id,
    people.display_name,
    people.email,
    count(*) over () as alerts_in_all
from (
    select *, case when kind = 'quota' then split_part(subject, ' ', 1) end as user_id
    from ledger.alerts
) as alerts
left join {users} as people on people.user_id::text = alerts.user_id
where alerts.resolved_at is null
order by alerts.opened_at, alerts.id
limit %(shown)s
"""

_REVISIONS = """
select
    usage_date,
    reason,
    revised_at,
    count(*) as rows_revised,
    sum((old ->> 'requests')::numeric)::bigint as requests_old,
    sum((new ->> 'requests')::numeric)::bigint as requests_new,
    sum((old ->> 'cost_recomputed_usd')::numeric) as cost_recomputed_old_usd,
    sum((new ->> 'cost_recomputed_usd')::numeric) as cost_recomputed_new_usd
from analytics.usage_revisions
group by usage_date, reason, revised_at
order by revised_at desc, usage_date desc, reason
limit %(shown)s
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the daily flow, and how many expectations the gate judged how."""

    started_at: datetime
    finished_at: datetime | None
    verdict: str
    reason: str
    passed: int = 0
    warnings: int = 0
    failed: int = 0

    @property
    def is_judged(self) -> bool:
        """Whether the run came to an end, good or bad."""
        return self.verdict in ("published", "refused", "failed")

    @property
    def expectations(self) -> int:
        """How many expectations were judged; 0 where the run never came to the gate."""
        return self.passed + self.warnings + self.failed

    @property
    def seconds(self) -> Decimal | None:
        """How long it took; None while it is under way."""
        if self.finished_at is None:
            return None
        return Decimal(str((self.finished_at - self.started_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class Forced:
    """Figures that an operator published though the gate refused them; the record of it."""

    forced_at: datetime
    forced_by: str
    why: str
    run: str
    expectations: int
    stands: bool


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest runs, newest first, the last one whose figures were published, and forced ones."""

    recent: tuple[Run, ...] = ()
    last_published: Run | None = None
    last_refused: Run | None = None
    by_force: tuple[Forced, ...] = ()
    fresh_until: datetime | None = None
    """When newer figures are overdue; None where none were published."""

    @property
    def forced(self) -> Forced | None:
        """The forced figures that the page shows: no run was published since."""
        return next((one for one in self.by_force if one.stands), None)

    @property
    def standing_in(self) -> Run | None:
        """The run that failed or was refused since the figures on the page were published."""
        last = next((run for run in self.recent if run.is_judged), None)
        return last if last is not None and last.verdict != "published" else None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong, and since when; `told_at` is None until the operator was told."""

    kind: str
    subject: str
    sentence: str
    opened_at: datetime
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Alerts:
    """What lasted at the last look, the oldest first, and how many there are, listed or not."""

    rows: tuple[Alert, ...] = ()
    in_all: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """A day that was published and then published otherwise: what it was, and what it is since."""

    usage_date: date
    reason: str
    revised_at: datetime
    rows_revised: int
    requests_old: int | None
    requests_new: int | None
    cost_recomputed_old_usd: Decimal | None
    cost_recomputed_new_usd: Decimal | None


def read_runs(snapshot: Snapshot) -> Runs:
    """The newest runs with their judgements, and the last one of each end."""

    def read(query: str, **values: object) -> tuple[Run, ...]:
        rows = snapshot.rows("ledger.runs", query, **values)
        return tuple(Run(**{**row, "reason": visible(row["reason"])}) for row in rows)

    fresh = snapshot.rows("ledger.forced_publications", FRESHNESS)
    return Runs(
        recent=read(_RUNS, recent=RUNS_SHOWN),
        last_published=next(iter(read(_LAST_RUN, verdict="published")), None),
        last_refused=next(iter(read(_LAST_RUN, verdict="refused")), None),
        by_force=tuple(
            Forced(**{**row, **{name: visible(row[name]) for name in ("forced_by", "why")}})
            for row in snapshot.rows("ledger.forced_publications", _FORCED, shown=FORCED_SHOWN)
        ),
        fresh_until=fresh[0]["fresh_until"] if fresh else None,
    )


def read_alerts(snapshot: Snapshot) -> Alerts:
    """The alerts that last, the oldest first."""
    rows = snapshot.rows("ledger.alerts", _ALERTS, shown=ALERTS_SHOWN)
    return Alerts(
        rows=tuple(
            Alert(
                **{name: visible(row[name]) for name in ("kind", "subject")},
                sentence=_sentence(snapshot, row),
                opened_at=row["opened_at"],
                told_at=row["told_at"],
            )
            for row in rows
        ),
        in_all=rows[0]["alerts_in_all"] if rows else 0,
    )


def _sentence(snapshot: Snapshot, row: Row) -> str:
    """What was told, with its user as the report names users: channels are told the address."""
    _, verb, what = row["sentence"].rpartition(USED)
    if row["user_id"] is None or not verb:
        return visible(row["sentence"])
    name, address = snapshot.person(row)
    return f"{name} ({address}){verb}{what}" if address else f"{name}{verb}{what}"


def read_revisions(snapshot: Snapshot) -> tuple[Revision, ...]:
    """The newest revisions of published usage, summed by day, cause and time."""
    rows = snapshot.rows("analytics.usage_revisions", _REVISIONS, shown=REVISIONS_SHOWN)
    return tuple(Revision(**row) for row in rows)
