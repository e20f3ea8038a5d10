"""Bills written straight into the ledger, and the marts that are built of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from omniledger.database import Dsn, connect
from tests.conftest import ask

FOCUS, RECONCILIATION = "fct_focus", "fct_bill_reconciliation"

CAUSES = (
    *("price", "token_count", "cache_write", "unseen", "day_boundary", "discount"),
    *("list_price", "tier", "other", "unexplained"),
)


def reported(dsn: Dsn, fact: str, day: str, after: str = "31 days") -> None:
    """The provider has reported on a day, so long after it began."""
    ask(
        dsn,
        "insert into ledger.provider_buckets"
        " select %s, at, at + interval '1 day', 1, at + %s::interval"
        " from (select %s::timestamp at time zone 'UTC' as at) as day on conflict do nothing",
        fact,
        after,
        day,
    )


def counted(
    dsn: Dsn, day: str, kind: str, tokens: int, model: str = "claude-3-5-haiku", **more: Any
) -> None:
    """The provider has counted tokens on a day."""
    reported(dsn, "usage", day)
    _insert(dsn, "provider_usage", day, model=model, token_kind=kind, quantity=tokens, **more)


def charged(
    dsn: Dsn,
    day: str,
    kind: str | None,
    dollars: str,
    model: str | None = "claude-3-5-haiku",
    cost_type: str = "tokens",
    **more: Any,
) -> None:
    """The provider charges for a day."""
    reported(dsn, "cost", day)
    _insert(
        dsn,
        "provider_costs",
        day,
        model=model,
        token_kind=kind,
        cost_type=cost_type,
        amount_usd=Decimal(dollars),
        **more,
    )


def _insert(dsn: Dsn, table: str, day: str, **values: Any) -> None:
    columns = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    ask(
        dsn,
        f"insert into ledger.{table} (bucket_start, bucket_end, detail, import_id, {columns})"
        f" select at, at + interval '1 day', '', 1, {places}"
        " from (select %s::timestamp at time zone 'UTC' as at) as day",
        *values.values(),
        day,
    )


def reconciliation(dsn: Dsn) -> dict[tuple[str, str | None, str], dict[str, Any]]:
    """The built rows, by day, model and kind."""
    with connect(dsn) as connection:
        cursor = connection.execute(
            "select bill_date::text as day, * from analytics_build.fct_bill_reconciliation"
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {(row["day"], row["llm_model"], row["token_kind"]): row for row in rows}


def causes(row: dict[str, Any]) -> dict[str, str]:
    """What a row says of why, without what is nothing."""
    found = {cause: row[f"cause_{cause}_usd"] for cause in CAUSES}
    return {cause: f"{usd:f}" for cause, usd in found.items() if usd}
