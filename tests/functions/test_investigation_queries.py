"""Every query that the investigation prints runs as it is printed, and its answer is right.

The queries are its own to the letter, each with the line of the document where it begins. Their
`:name` parameters are bound as the gateway binds them, by SQLAlchemy.
"""

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from omniledger.database import Dsn
from omniledger.inspection.printed import (
    AUDIT,
    CHECKED_SERVERS,
    COLUMNS,
    HAS_AUDIT_DATA,
    HAS_COST,
    HAS_HEALTH_DATA,
    HEALTH,
    QUOTA,
    RECENT,
)
from tests.conftest import Server, ask


@pytest.fixture
def merged(each_server: Server) -> Dsn:
    return each_server.state("investigation:upgraded")


def answer(dsn: Dsn, query: str, **values: object) -> list[tuple[Any, ...]]:
    url = sa.make_url(dsn.url()).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("set timezone = 'UTC'"))
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def audit(dsn: Dsn, status: str | None = None, search: str | None = None) -> list[tuple[Any, ...]]:
    return answer(dsn, AUDIT, server_id=1, status=status, search=search, limit=50)


def test_the_audit_query_shows_the_calls_of_a_server(merged: Dsn) -> None:
    [row] = audit(merged)
    assert (*row[:8], *row[8:11]) == (
        2, "read", "Ada@Example.com", "production", None, "success", None, None, None, None, None,
    )  # fmt: skip
    assert str(row[11]) == "2026-02-10 10:00:00+00:00"


def test_the_audit_query_filters(merged: Dsn) -> None:
    assert len(audit(merged, status="success")) == len(audit(merged, search="%EA%")) == 1
    assert audit(merged, status="error") == audit(merged, search="%nothing%") == []


def test_the_function_shows_what_the_audit_query_shows_and_more(merged: Dsn) -> None:
    ask(
        merged,
        "insert into omni2.audit_logs (timestamp, question, mcp_target, success, tool_params)"
        " select timestamptz '2026-03-01' + make_interval(secs => n), 'q', 'files', n % 3 > 0, '{}'"
        " from generate_series(1, 20) as n",
    )
    shown = answer(merged, "select * from ledger.mcp_server_audit(1)")
    assert [row for row in shown if row[0] != 1] == audit(merged)
    errors = answer(merged, "select * from ledger.mcp_server_audit(1, 'error')")
    assert errors == audit(merged, status="error") != []


def test_the_health_query_shows_the_newest_first(merged: Dsn) -> None:
    rows = answer(merged, HEALTH, server_id=1, limit=2)
    assert [(row[0], row[2], row[5]) for row in rows] == [
        (3, "healthy", "health_check"),
        (2, "unhealthy", "health_check"),
    ]
    assert answer(merged, "select * from ledger.mcp_server_logs(1, 2)") == rows


def test_the_tables_have_data(merged: Dsn) -> None:
    [(rows, first, last)] = answer(merged, HAS_AUDIT_DATA)
    assert (rows, str(first)) == (13, "2026-02-10 10:00:00+00:00")
    assert str(last) == "2026-02-10 12:05:00+00:00"


def test_the_health_log_has_data(merged: Dsn) -> None:
    rows = sorted(
        (n, str(a), str(b), status, id_) for n, a, b, status, id_ in answer(merged, HAS_HEALTH_DATA)
    )
    five, ten = "2026-02-10 10:05:00+00:00", "2026-02-10 10:10:00+00:00"
    assert rows == [
        (1, five, five, "unhealthy", 1),
        (2, "2026-02-10 10:00:00+00:00", ten, "healthy", 1),
    ]


def test_servers_that_nobody_checks_are_seen(merged: Dsn) -> None:
    rows = sorted(
        (name, id_, n, last and str(last)) for name, id_, n, last in answer(merged, CHECKED_SERVERS)
    )
    assert rows == [("files", 1, 3, "2026-02-10 10:10:00+00:00"), ("search", 2, 0, None)]


def test_the_quota_query_counts_today_only(merged: Dsn) -> None:
    assert answer(merged, QUOTA, user_id=2) == [(0, 0)]
    ask(
        merged,
        "insert into omni2.audit_logs (user_id, question, success, llm_tokens_used, cost_usd)"
        " values (2, 'today', true, 100, 0.25), (2, 'failed', false, 7, 1),"
        " (3, 'another', true, 9, 2), (2, 'a tool call', true, null, null)",
    )
    assert answer(merged, QUOTA, user_id=2) == [(100, Decimal("0.25"))]


def test_the_columns_are_those_of_both_logs(merged: Dsn) -> None:
    columns = {name: (kind, nullable) for name, kind, nullable in answer(merged, COLUMNS)}
    assert columns["id"] == ("integer", "NO")
    assert columns["llm_tokens_used"] == ("integer", "YES")
    assert columns["cost_usd"] == ("numeric", "YES")
    assert columns["mcps_accessed"] == ("ARRAY", "YES")


def test_cost_usd_exists(merged: Dsn) -> None:
    assert answer(merged, HAS_COST) == [("cost_usd",)]


def test_recent_rows_carry_tokens_and_cost(merged: Dsn) -> None:
    rows = answer(merged, RECENT)
    assert len(rows) == 5
    times = [row[2] for row in rows]
    assert times == sorted(times, reverse=True)
    assert rows[2][6] == Decimal("0.000004")
    assert [(row[4], row[5]) for row in rows[:2]] == [(None, None), (88, True)]
