"""Whatever the ledger holds and the bill says, the causes add up to the difference, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniledger.database import Connection, Dsn, connect
from tests.conftest import ask
from tests.models.bill import CAUSES, FOCUS, RECONCILIATION
from tests.models.conftest import Prepared

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")

KINDS = ("input", "output", "cached", "cache_write_5m", "cache_write_1h")

models = st.sampled_from(["claude-3-5-haiku", "priced", "unheard-of"])
moments = st.builds(
    lambda day, hour: f"{day} {hour:02}:30+00", st.sampled_from(DAYS), st.sampled_from([0, 5, 23])
)
tokens = st.sampled_from([None, 0, 1, 7, 1_000_003, 2 * 10**9])
money = st.decimals(min_value=0, max_value=10**6, places=10)
tiers = st.sampled_from([None, "standard", "batch"])


@dataclass(frozen=True)
class Case:
    """Requests of the ledger, counts and charges of the bill."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    charges: list[dict[str, Any]] = field(default_factory=list)


requests = st.fixed_dictionaries(
    {
        "at": moments,
        "llm_model": models,
        "tokens_input": tokens,
        "tokens_output": tokens,
        "tokens_cached": tokens,
        "tokens_cache_write": tokens,
        "cost_usd": st.none() | money,
    }
)
counts = st.fixed_dictionaries(
    {
        "day": st.sampled_from(DAYS),
        "kind": st.sampled_from(KINDS),
        "tokens": st.sampled_from([0, 1, 999, 10**9]),
        "model": models,
        "tier": tiers,
    }
)
charges = st.fixed_dictionaries(
    {
        "day": st.sampled_from(DAYS),
        "kind": st.sampled_from([*KINDS, None]),
        "usd": money,
        "model": models,
        "list_usd": st.none() | money,
        "tier": tiers,
    }
)
cases = st.builds(
    Case,
    st.lists(requests, max_size=6),
    st.lists(counts, max_size=6),
    st.lists(charges, max_size=6),
)


INSERTS = {
    "request": (
        "insert into omni2.audit_logs (question, success, timestamp, llm_model, tokens_input,"
        " tokens_output, tokens_cached, tokens_cache_write, cost_usd)"
        " values ('?', true, %(at)s, %(llm_model)s, %(tokens_input)s, %(tokens_output)s,"
        " %(tokens_cached)s, %(tokens_cache_write)s, %(cost_usd)s)"
    ),
    "bucket": (
        "insert into ledger.provider_buckets values (%s, %s::date::timestamp at time zone 'UTC',"
        " (%s::date + 1)::timestamp at time zone 'UTC', 1) on conflict do nothing"
    ),
    "count": (
        "insert into ledger.provider_usage (bucket_start, bucket_end, model, token_kind, quantity,"
        " service_tier, detail, import_id)"
        " select at, at + interval '1 day', %(model)s, %(kind)s, %(tokens)s, %(tier)s, '', 1"
        " from (select %(day)s::timestamp at time zone 'UTC' as at) as day"
    ),
    "charge": (
        "insert into ledger.provider_costs (bucket_start, bucket_end, model, cost_type, token_kind,"
        " amount_usd, list_amount_usd, service_tier, detail, import_id)"
        " select at, at + interval '1 day', %(model)s,"
        " case when %(kind)s::text is null then 'web_search' else 'tokens' end, %(kind)s,"
        " %(usd)s, %(list_usd)s, %(tier)s, '', 1"
        " from (select %(day)s::timestamp at time zone 'UTC' as at) as day"
    ),
}


def fill(connection: Connection, case: Case) -> None:
    for request in case.requests:
        connection.execute(INSERTS["request"].encode(), request)
    for fact, kind, facts in (("usage", "count", case.counts), ("cost", "charge", case.charges)):
        for one in facts:
            connection.execute(INSERTS["bucket"].encode(), [fact, one["day"], one["day"]])
            connection.execute(INSERTS[kind].encode(), one)


@dataclass(frozen=True)
class Models:
    """A database whose days are those of New York, and the SQL of the two marts."""

    dsn: Dsn
    focus: bytes
    reconciliation: bytes


@pytest.fixture(scope="module")
def models_of_new_york(prepared: Prepared) -> Models:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "insert into ledger.model_prices values"
        " ('priced', '-infinity', null, 0.123456789, 7, null, 1.00000001, null, 'test')",
    )
    select = ("--select", f"+{FOCUS}", f"+{RECONCILIATION}", "--full-refresh")
    zone = {"OMNILEDGER_REPORTING_TIMEZONE": "America/New_York"}
    results = prepared.dbt(dsn, "run", *select, **zone)
    code = {result.node.name: result.node.compiled_code.encode() for result in results}
    return Models(dsn, code[FOCUS], code[RECONCILIATION])


@settings(max_examples=40, deadline=None, derandomize=True, print_blob=False)
@given(case=cases)
def test_the_causes_add_up_whatever_happened(models_of_new_york: Models, case: Case) -> None:
    known = models_of_new_york
    with connect(known.dsn) as connection:
        fill(connection, case)
        connection.execute(b"insert into analytics_build.fct_focus " + known.focus)
        cursor = connection.execute(known.reconciliation)
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        [(ledger, focus)] = connection.execute(_LEDGER).fetchall()
        connection.rollback()
    for row in rows:
        if row["difference_usd"] is None:
            assert row["billed_usd"] is None
        else:
            assert row["difference_usd"] == row["billed_usd"] - row["ledger_usd"]
            assert sum(row[f"cause_{cause}_usd"] for cause in CAUSES) == row["difference_usd"]
    billed = sum((charge["usd"] for charge in case.charges), Decimal(0))
    assert sum(row["billed_usd"] for row in rows if row["is_cost_known"]) == billed
    assert sum(row["ledger_usd"] for row in rows) == ledger == focus


# The ledger's dollars of the days that the bill knows, straight from the requests.
_LEDGER = """
select
    (
        select
            coalesce(
                sum(coalesce(cost_recorded_usd, cost_recomputed_usd, cost_estimated_usd)), 0
            )
        from analytics_build.int_audit_events_priced
        where event_date in (select bill_date from analytics_build.stg_provider_buckets)
    ),
    (
        select coalesce(sum(x_ledger_cost), 0)
        from analytics_build.fct_focus
        where usage_date in (select bill_date from analytics_build.stg_provider_buckets)
    )
"""
