"""Random ledgers and bills, as hostile as the tables take them, and how they are written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from omniledger.database import Connection
from tests.models.bill_model import Books, Charge, Count
from tests.models.money_model import Limit, Price, Request

ZONE = "America/Havana"
"""Where the day of 2 November 2025 has two midnights, and 25 hours."""

HAIKU = "claude-3-5-haiku"
WRITTEN = {
    None: HAIKU,
    HAIKU: HAIKU,
    " Anthropic/Claude-3.5-Haiku-20241022": HAIKU,
    "priced": "priced",
    "us.anthropic.Priced-20250101-v1:0": "priced",
    "Unheard-Of": "Unheard-Of",
}
"""Names of models as writers have them, and what they mean."""
BILLED = {
    HAIKU: HAIKU,
    "Claude Haiku 3.5": HAIKU,
    "priced-20250101": "priced",
    "unheard-of": "unheard-of",
}
"""The same of the bill."""

EVER = datetime(2000, 1, 1, tzinfo=UTC)
_HAIKU_RATES = (Decimal("0.80"), Decimal(4), Decimal("0.08"), Decimal(1))
_ODD_RATES = (Decimal("0.123456789"), Decimal(7), None, Decimal("1.00000001"))
BASE = (
    Price(HAIKU, False, EVER, None, _HAIKU_RATES, Decimal("1.60")),
    Price("priced", False, EVER, None, _ODD_RATES),
)
"""The prices that are known when rows are written."""

DAYS = tuple(date(2025, 11, n) for n in (1, 2, 3))
KINDS = ("input", "output", "cached", "cache_write_5m", "cache_write_1h")

moments = st.builds(
    lambda day, second, tick: (
        datetime(2025, 11, day, tzinfo=UTC) + timedelta(seconds=second, microseconds=tick)
    ),
    st.integers(1, 3),
    st.sampled_from([0, 14399, 14400, 17999, 18000, 43200, 86399]),
    st.sampled_from([0, 0, 1, 999_999]),
)
tokens = st.sampled_from([None, 0, 1, 7, 1_000_003, 2 * 10**9, -1])
money = st.decimals(min_value=0, max_value=10**6, places=10)
rates = st.decimals(min_value=0, max_value=100, places=9)
odd_costs = st.sampled_from([Decimal("NaN"), Decimal(-1), Decimal("1e12") + 1])
costs = st.none() | st.sampled_from([Decimal("0.5"), Decimal(6)]) | money | odd_costs
tiers = st.sampled_from([None, "standard", "batch"])
models = st.sampled_from(sorted(WRITTEN, key=str))

requests = st.fixed_dictionaries(
    {
        "at": moments,
        "user": st.sampled_from([1, 1, 2, None]),
        "model": models,
        "tokens": st.tuples(tokens, tokens, tokens, tokens),
        "total": tokens,
        "cost": costs,
        "success": st.sampled_from([True, True, False]),
    }
)
prices = st.builds(
    Price,
    st.sampled_from([HAIKU, "priced"]),
    st.booleans(),
    moments,
    st.none() | moments,
    st.tuples(rates, rates, st.none() | rates, st.none() | rates),
    st.none() | rates,
)
limits = st.builds(Limit, st.sampled_from([None, 1, 2]), moments, st.sampled_from([0, 1, 50_000]))
billed = st.sampled_from(sorted(BILLED))
counts = st.builds(
    Count,
    st.sampled_from(DAYS),
    billed,
    st.sampled_from(KINDS),
    st.sampled_from([0, 1, 999, 10**9]),
    tiers,
)
charges = st.builds(
    Charge,
    st.sampled_from(DAYS),
    billed,
    st.sampled_from([*KINDS, None]),
    money,
    st.none() | money,
    tiers,
)


@dataclass(frozen=True)
class Case:
    """Requests of the ledger, prices and limits that came later, counts and charges of the bill."""

    requests: list[dict[str, Any]]
    prices: list[Price]
    limits: list[Limit]
    counts: list[Count]
    charges: list[Charge]

    @property
    def all_prices(self) -> tuple[Price, ...]:
        """With those that were there; of the same beginning the first counts."""
        first = {(p.model, p.is_own, p.since): p for p in reversed((*BASE, *self.prices))}
        return tuple(first.values())

    @property
    def rows(self) -> tuple[Request, ...]:
        """The requests as they stand in the ledger."""
        return tuple(
            Request(number, **{**values, "model": WRITTEN[values["model"]]}).filled_in(BASE)
            for number, values in enumerate(self.requests)
        )

    @property
    def books(self) -> Books:
        return Books(
            self.rows,
            self.all_prices,
            tuple(count._replace(model=BILLED[count.model]) for count in self.counts),
            tuple(charge._replace(model=BILLED[charge.model]) for charge in self.charges),
            ZONE,
            {"Unheard-Of": "unheard-of"},
        )


cases = st.builds(
    Case,
    st.lists(requests, min_size=6, max_size=12),
    st.lists(prices, max_size=4),
    st.lists(limits, max_size=3),
    st.lists(counts, max_size=6),
    st.lists(charges, max_size=6),
)

INSERTS = {
    "request": (
        "insert into omni2.audit_logs (question, timestamp, user_id, llm_model, success,"
        " llm_tokens_used, cost_usd,"
        " tokens_input, tokens_output, tokens_cached, tokens_cache_write)"
        " values ('?', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    ),
    "price": (
        "insert into ledger.model_prices (model, is_own, valid_from, valid_to, input, output,"
        " cached_read, cache_write_5m, cache_write_1h, source)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'test') on conflict do nothing"
    ),
    "limit": "insert into ledger.limit_history values (%s, %s, %s, 'test')",
    "bucket": (
        "insert into ledger.provider_buckets values (%s, %s::timestamp at time zone 'UTC',"
        " (%s::date + 1)::timestamp at time zone 'UTC', 1) on conflict do nothing"
    ),
    "count": (
        "insert into ledger.provider_usage (bucket_start, bucket_end, model, token_kind, quantity,"
        " service_tier, detail, import_id)"
        " select at, at + interval '1 day', %s, %s, %s, %s, '', 1"
        " from (select %s::timestamp at time zone 'UTC' as at) as day"
    ),
    "charge": (
        "insert into ledger.provider_costs (bucket_start, bucket_end, model, token_kind,"
        " amount_usd, list_amount_usd, service_tier, cost_type, detail, import_id)"
        " select at, at + interval '1 day', %s, %s, %s, %s, %s, %s, '', 1"
        " from (select %s::timestamp at time zone 'UTC' as at) as day"
    ),
}


def fill(connection: Connection, case: Case) -> None:
    def insert(what: str, *values: object) -> None:
        connection.execute(INSERTS[what].encode(), values)

    for r in case.requests:
        plain = (r["at"], r["user"], r["model"], r["success"], r["total"], r["cost"])
        insert("request", *plain, *r["tokens"])
    for p in case.prices:
        insert("price", *p[:4], *p.rates, p.for_an_hour)
    for limit in case.limits:
        insert("limit", *limit)
    for c in case.counts:
        insert("bucket", "usage", c.day, c.day)
        insert("count", *c[1:], c.day)
    for one in case.charges:
        insert("bucket", "cost", one.day, one.day)
        insert("charge", *one[1:], "tokens" if one.kind else "web_search", one.day)
