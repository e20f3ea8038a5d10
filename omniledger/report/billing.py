"""What was recorded, what it should have cost, what was billed, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal

from omniledger.report.figures import UsageFigures
from omniledger.report.snapshot import Row, Snapshot

DAYS_SHOWN = 92
"""The newest days of the bill; older ones are left to the mart."""

CAUSES = {
    "cause_price_usd": ("Price", "recorded at another rate than the price in force"),
    "cause_token_count_usd": ("Token count", "the provider counted other tokens"),
    "cause_cache_write_usd": ("Cache writes", "tokens written to the cache, never recorded"),
    "cause_unseen_usd": ("Unseen traffic", "a model of which the ledger saw nothing that day"),
    "cause_day_boundary_usd": ("Day boundary", "days of UTC on the bill, reporting days here"),
    "cause_discount_usd": ("Discount", "charged less than the list price"),
    "cause_list_price_usd": ("List price", "the bill’s list price is not the ledger’s"),
    "cause_tier_usd": ("Service tier", "batch, priority or another tier"),
    "cause_other_usd": ("Other charges", "web search, code execution and the like"),
    "cause_unexplained_usd": ("Unexplained", "no token count, or no price, to explain it by"),
}
"""The columns of causes, each with its name and meaning."""

# The causes add up to the difference, where there is one: so only such rows are in both.
_BILL = f"""
select
    bill_date,
    min(oldest_date) as oldest_date,
    count(distinct bill_date) as days,
    count(distinct bill_date) filter (where not is_settled) as days_unsettled,
    bool_and(is_settled) as is_settled,
    count(*) filter (where billed_usd is null) as rows_not_charged,
    sum(ledger_usd) as ledger_usd,
    sum(billed_usd) as billed_usd,
    sum(difference_usd) as difference_usd,
    {", ".join(f"sum({name}) filter (where billed_usd is not null) as {name}" for name in CAUSES)}
from (
    select *, min(bill_date) over () as oldest_date from analytics.fct_bill_reconciliation
) as bill
where
    bill_date > (
        select max(newest.bill_date) - %(days)s
        from analytics.fct_bill_reconciliation as newest
    )
group by rollup (bill_date)
order by bill_date desc nulls first
"""  # noqa: S608 -- names of ours


@dataclass(frozen=True, slots=True)
class BillDay:
    """The bill beside the ledger on one day of UTC, US dollars, or on all days shown.

    What is billed is None where the provider has not told; causes add up to the difference.
    """

    day: date | None
    is_settled: bool
    days: int
    days_unsettled: int
    rows_not_charged: int
    ledger_usd: Decimal
    billed_usd: Decimal | None
    difference_usd: Decimal | None
    cause_price_usd: Decimal | None
    cause_token_count_usd: Decimal | None
    cause_cache_write_usd: Decimal | None
    cause_unseen_usd: Decimal | None
    cause_day_boundary_usd: Decimal | None
    cause_discount_usd: Decimal | None
    cause_list_price_usd: Decimal | None
    cause_tier_usd: Decimal | None
    cause_other_usd: Decimal | None
    cause_unexplained_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why bill and ledger differ, over all days shown."""

    cause: str
    amount_usd: Decimal | None
    meaning: str


@dataclass(frozen=True, slots=True)
class BillFigures:
    """The days that the provider has reported on, newest first, and their sum."""

    total: BillDay
    days: tuple[BillDay, ...]
    first_day: date | None = None
    """The first day shown; None where the provider reported on none before it."""

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Each cause with its amount, the largest first."""
        causes = (
            Cause(name, getattr(self.total, key), said) for key, (name, said) in CAUSES.items()
        )
        return tuple(
            sorted(causes, key=lambda cause: abs(cause.amount_usd or Decimal(0)), reverse=True)
        )


@dataclass(frozen=True, slots=True)
class CostDay:
    """One day's cost from three sides, US dollars; None where that side doesn't know it."""

    day: date
    cost_recorded_usd: Decimal | None
    cost_recomputed_usd: Decimal | None
    billed_usd: Decimal | None
    difference_usd: Decimal | None
    is_settled: bool | None


def read(snapshot: Snapshot) -> BillFigures | None:
    """The bill section; None without a bill."""
    rows = snapshot.rows("analytics.fct_bill_reconciliation", _BILL, days=DAYS_SHOWN)
    days = tuple(_day(row) for row in rows if row["bill_date"] is not None)
    if not days:
        return None
    newest = max(day.day for day in days if day.day)
    first = newest - timedelta(days=DAYS_SHOWN - 1)
    return BillFigures(_day(rows[0]), days, first if rows[0]["oldest_date"] < first else None)


def _day(row: Row) -> BillDay:
    names = [field.name for field in fields(BillDay) if field.name != "day"]
    return BillDay(day=row["bill_date"], **{name: row[name] for name in names})


def cost_days(usage: UsageFigures | None, bill: BillFigures | None) -> tuple[CostDay, ...]:
    """Recorded, recomputed and billed cost of each day that any side knows, newest first.

    Days before `costs_since` are left out: one side has more of them than were read here.
    """
    since = costs_since(usage, bill)
    ours = {row.day: row.usage for row in usage.by_day if row.day} if usage else {}
    theirs = {day.day: day for day in bill.days if day.day} if bill else {}
    return tuple(
        CostDay(
            day=day,
            cost_recorded_usd=ours[day].cost_recorded_usd if day in ours else None,
            cost_recomputed_usd=ours[day].cost_recomputed_usd if day in ours else None,
            billed_usd=theirs[day].billed_usd if day in theirs else None,
            difference_usd=theirs[day].difference_usd if day in theirs else None,
            is_settled=theirs[day].is_settled if day in theirs else None,
        )
        for day in sorted({*ours, *theirs}, reverse=True)
        if since is None or day >= since
    )


def costs_since(usage: UsageFigures | None, bill: BillFigures | None) -> date | None:
    """The day from which on `cost_days` are all there; None where none is left out."""
    days = [row.day for row in usage.by_day if row.day] if usage else []
    is_cut = usage is not None and len(days) < usage.days
    firsts = [min(days) if is_cut else None, bill.first_day if bill else None]
    return max((first for first in firsts if first is not None), default=None)
