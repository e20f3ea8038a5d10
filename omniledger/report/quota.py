"""What users spent of their limit today, and who crossed it when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from omniledger.report.snapshot import Row, Snapshot

DAYS_SHOWN = 92
"""Days of which crossings are told."""

ROWS_SHOWN = 50

_QUOTA = """
with shown as (
    select
        coalesce(
            max(usage_date) filter (where usage_date <= %(today)s), max(usage_date)
        ) as shown_date,
        min(usage_date) as oldest_date
    from analytics.fct_daily_quota
),

told as (
    select 'day' as side, quota.*
    from analytics.fct_daily_quota as quota
    inner join shown on quota.usage_date = shown.shown_date

    union all

    select 'crossing' as side, quota.*
    from analytics.fct_daily_quota as quota
    inner join shown
        on
            quota.usage_date <= shown.shown_date
            and quota.usage_date > shown.shown_date - %(days)s
    where quota.is_exceeded
),

placed as (
    select
        *,
        row_number() over (
            partition by side
            order by
                case when side = 'crossing' then usage_date end desc,
                used_share desc nulls first,
                cost_used_usd desc,
                user_id
        ) as place,
        count(*) over of_side as rows_in_all,
        count(*) filter (where is_exceeded) over of_side as rows_exceeded,
        sum(cost_used_usd) over of_side as used_in_all_usd,
        sum(overspend_usd) over of_side as overspend_in_all_usd
    from told
    window of_side as (partition by side)
)

select
    placed.*,
    users.display_name,
    users.email,
    shown.oldest_date
from placed
cross join shown
left join {users} as users on placed.user_id = users.user_id
where placed.place <= %(shown)s
order by placed.side, placed.place
"""


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """What one user used of the limit on one day, US dollars; `crossed_at` is when it was used up.

    Tokens without a price are in `cost_unpriced_usd` where the setting counts them.
    """

    day: date
    user_id: int
    user: str
    detail: str
    cost_used_usd: Decimal
    cost_recorded_usd: Decimal
    cost_unpriced_usd: Decimal
    tokens_used: int
    tokens_unpriced: int
    cost_limit_usd: Decimal | None
    limit_basis: str
    used_share: Decimal | None
    is_exceeded: bool
    crossed_at: datetime | None
    overspend_usd: Decimal


@dataclass(frozen=True, slots=True)
class QuotaSide:
    """Some rows of `fct_daily_quota`, and sums over those that aren't listed, too."""

    rows: tuple[QuotaRow, ...] = ()
    in_all: int = 0
    exceeded: int = 0
    used_usd: Decimal = Decimal(0)
    overspend_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class QuotaFigures:
    """The newest day's use of the limits, and the crossings of the days before."""

    today: date
    day: date
    of_day: QuotaSide
    crossings: QuotaSide
    first_day: date | None = None
    """The first day of which crossings are told; None where they are told of every day."""

    @property
    def crossings_since(self) -> date | None:
        """The day with which the list of crossings begins; None where it lists them all."""
        rows = self.crossings.rows
        return rows[-1].day if len(rows) < self.crossings.in_all else self.first_day

    @property
    def is_today(self) -> bool:
        """Whether the day shown is the day that it is now."""
        return self.day == self.today


def read(snapshot: Snapshot) -> QuotaFigures | None:
    """The quota section; None before a day of it is published."""
    today = snapshot.today
    rows = snapshot.rows(
        "analytics.fct_daily_quota", _QUOTA, today=today, days=DAYS_SHOWN, shown=ROWS_SHOWN
    )
    of_day = [row for row in rows if row["side"] == "day"]
    if not of_day:
        return None
    crossings = [row for row in rows if row["side"] == "crossing"]
    day, oldest = of_day[0]["usage_date"], of_day[0]["oldest_date"]
    first = day - timedelta(days=DAYS_SHOWN - 1)
    return QuotaFigures(
        today=today,
        day=day,
        of_day=_side(snapshot, of_day),
        crossings=_side(snapshot, crossings),
        first_day=first if oldest < first else None,
    )


def _side(snapshot: Snapshot, rows: list[Row]) -> QuotaSide:
    if not rows:
        return QuotaSide()
    return QuotaSide(
        rows=tuple(_row(snapshot, row) for row in rows),
        in_all=rows[0]["rows_in_all"],
        exceeded=rows[0]["rows_exceeded"],
        used_usd=rows[0]["used_in_all_usd"],
        overspend_usd=rows[0]["overspend_in_all_usd"],
    )


_SAME = (
    "user_id", "cost_used_usd", "cost_recorded_usd", "cost_unpriced_usd", "tokens_used",
    "tokens_unpriced", "cost_limit_usd", "used_share", "crossed_at", "overspend_usd",
)  # fmt: skip


def _row(snapshot: Snapshot, row: Row) -> QuotaRow:
    user, detail = snapshot.person(row)
    return QuotaRow(
        day=row["usage_date"],
        user=user,
        detail=detail,
        limit_basis=row["limit_basis"] or "",
        is_exceeded=bool(row["is_exceeded"]),
        **{name: row[name] for name in _SAME},
    )
