"""Whatever part of a mart is summed, and however it is grouped, it is what the raw rows say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from omniledger.database import Connection, connect
from tests.models.conftest import Marts, Prepared

_RAW = Path(__file__).with_name("raw_figures.sql")


@dataclass(frozen=True)
class Sums:
    """A mart that can be summed over some of its columns, and the raw figures it is held to."""

    mart: str
    by: tuple[str, ...]
    figures: tuple[str, ...]
    raw: str = ""

    def of_mart(self) -> sql.Composable:
        """The mart's rows; computed cost by kind of tokens is told apart from all other cost."""
        mart = sql.Identifier("analytics_build", self.mart)
        if not self.raw:
            return mart
        priced = "select *, billed_cost as computed_cost from {} where x_cost_basis = 'computed'"
        kinds = sql.SQL("({} and x_token_kind <> 'unsplit') as kinds")
        return kinds.format(sql.SQL(priced).format(mart))

    def of_raw(self) -> sql.Composable:
        return sql.Identifier("raw_figures", self.raw or self.mart)


_FOCUS = ("usage_date", "x_user_id", "x_model", "x_source_system")

SUMS = (
    Sums(
        "fct_daily_usage",
        ("usage_date", "user_id", "llm_model", "source_system"),
        (
            *("requests", "errors", "blocked", "tool_calls", "tool_calls_reported"),
            *("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write"),
            *("tokens_total", "requests_cost_unknown"),
            *("cost_recorded_usd", "cost_recomputed_usd", "cost_difference_usd", "cost_usd"),
        ),
    ),
    Sums(
        "fct_daily_tool_usage",
        ("usage_date", "mcp_server", "tool"),
        ("calls", "errors", "blocked"),
    ),
    Sums(
        "fct_daily_mcp_cost",
        ("usage_date", "mcp_server", "is_no_server", "llm_model"),
        (
            *("requests", "requests_shared", "calls", "requests_cost_unknown"),
            *("tokens_total", "cost_recorded_usd", "cost_recomputed_usd"),
        ),
    ),
    Sums(
        "fct_daily_quota",
        ("usage_date", "user_id"),
        ("rows_counted", "tokens_used", "tokens_unpriced", "cost_recorded_usd", "cost_used_usd"),
    ),
    Sums(
        "fct_daily_health",
        ("health_date", "mcp_server_id"),
        (
            *("up_seconds", "down_seconds", "disabled_seconds", "unknown_seconds"),
            *("checks", "checks_up", "checks_timeout"),
        ),
    ),
    Sums("fct_focus", _FOCUS, ("billed_cost", "x_ledger_cost")),
    Sums("fct_focus", (*_FOCUS, "x_token_kind"), ("x_tokens", "computed_cost"), "focus_kinds"),
)

_INSERT = """
insert into omni2.audit_logs (
    timestamp, question, success, status, was_blocked, user_id, source_system, request_type,
    tool_called, mcp_target, mcps_accessed, tools_used, tool_calls_count, llm_model,
    tokens_input, tokens_output, tokens_cached, tokens_cache_write, llm_tokens_used, cost_usd
)
values (%s, '?', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# They come after the rows, or a trigger would have written down each cost.
_PRICES = """
insert into ledger.model_prices
    (model, is_own, valid_from, valid_to, input, output, cached_read, cache_write_5m, source)
values
    ('a', false, '-infinity', null, 3, 15, 0.3, 3.75, 'test'),
    ('a', false, '2026-03-02 18:00+00', null, 2.5, 12.5, null, null, 'test'),
    ('a', true, '2026-03-04 00:00+00', '2026-03-04 12:00+00', 1.1, 7, 0.01, 1.25, 'test'),
    ('b', false, '2026-03-02 00:00+00', null, 0.123456789, 0.7, 0.0001, 0.15, 'test');
insert into ledger.model_names values ('alias', 'b', 'test');
insert into ledger.model_history values ('2026-03-03 12:00+00', 'a')
"""


def _rows(random: Random) -> Iterator[list[Any]]:
    for _ in range(400):
        tokens = [random.choice((None, 0, 1, 7, 1000, 123_457, -1)) for _ in range(4)]
        if random.random() < 0.6:
            tokens[:2] = random.randrange(9999), random.randrange(9999)
            tokens[2:] = [random.choice((None, 0, 333)) for _ in range(2)]
        day, hour, minute = random.randrange(1, 6), random.randrange(24), random.randrange(60)
        yield [
            f"2026-03-0{day} {hour}:{minute}+00",
            random.random() < 0.8,
            random.choice((None, "success", "error", "warning")),
            random.choice((None, False, True)),
            random.choice((None, 1, 2, 3)),
            random.choice(("gateway", "chat", "legacy")),
            random.choice((None, "chat")),
            random.choice((None, None, "read", "write")),
            random.choice((None, "files", "no server")),
            random.choice((None, [], ["files"], ["c", "a", "b"], ["b", None, "b", "", "files"])),
            random.choice((None, ["read"], ["a.read", "a.seek", "b.say", "files.read"])),
            random.choice((None, 0, 3)),
            random.choice((None, "a", "b", "alias", "unheard-of")),
            *tokens,
            random.choice((None, None, 5, 10_001, -1)),
            random.choice((None, None, "0", "0.0001", "0.00000000000007", "0.25", "-1", "NaN")),
        ]


def _events(random: Random) -> Iterator[tuple[str, str, int]]:
    words = ("healthy", "healthy", "timeout", "disabled", "odd")
    for server in (1, 2, 3):
        for day in range(1, 6):
            minute = random.randrange(1200)
            for _ in range(8):
                at = f"2026-03-0{day} {minute // 60}:{minute % 60}+00"
                yield at, random.choice(words), server
                minute += random.choice((5, 5, 5, 5, 5, 25))
    # a state that holds into the next day
    yield "2026-03-02 23:59:30+00", "timeout", 4


def _fill(marts: Marts) -> None:
    random = Random(7)
    with connect(marts.dsn) as connection:
        connection.cursor().executemany(_INSERT, list(_rows(random)))
        connection.execute(_PRICES)
        connection.execute(
            "insert into omni2.mcp_servers (id, name)"
            " select n, 'server ' || n from generate_series(1, 4) as n"
        )
        connection.cursor().executemany(
            "insert into omni2.mcp_health_log (timestamp, status, mcp_server_id)"
            " values (%s, %s, %s)",
            list(_events(random)),
        )


@pytest.fixture
def connection(prepared: Prepared) -> Iterator[Connection]:
    marts = prepared.in_state("any grouping", _fill)
    with connect(marts.dsn, autocommit=True) as connection:
        connection.execute(_RAW.read_bytes())
        yield connection


@st.composite
def groupings(draw: st.DrawFn) -> tuple[Sums, list[str], str | None, int]:
    """A mart, some of its columns, and one more to filter by, by the place of a value of it."""
    sums = draw(st.sampled_from(SUMS))
    by = draw(st.lists(st.sampled_from(sums.by), unique=True))
    return sums, by, draw(st.sampled_from((None, *sums.by))), draw(st.integers(0, 30))


def _summed(
    connection: Connection,
    rows: sql.Composable,
    sums: Sums,
    by: list[str],
    only: tuple[str, object] | None,
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    columns = sql.SQL(", ").join(
        [
            *(sql.Identifier(name) for name in by),
            *(sql.SQL("sum({})").format(sql.Identifier(name)) for name in sums.figures),
        ]
    )
    query = sql.SQL("select {} from {}").format(columns, rows)
    if only is not None:
        query += sql.SQL(" where {} is not distinct from {}").format(
            sql.Identifier(only[0]), sql.Literal(only[1])
        )
    if by:
        query += sql.SQL(" group by {}").format(sql.SQL(", ").join(map(sql.Identifier, by)))
    found = {row[: len(by)]: row[len(by) :] for row in connection.execute(query)}
    # Nothing at all needs no row.
    return {group: figures for group, figures in found.items() if any(figures)}


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(grouping=groupings())
def test_any_sum_over_a_mart_is_that_of_the_raw_rows(
    connection: Connection, grouping: tuple[Sums, list[str], str | None, int]
) -> None:
    sums, by, column, place = grouping
    only = None
    if column is not None:
        values = sql.SQL("select distinct {} from {} order by 1").format(
            sql.Identifier(column), sums.of_raw()
        )
        known = connection.execute(values).fetchall()
        only = column, known[place % len(known)][0]
    assert _summed(connection, sums.of_mart(), sums, by, only) == _summed(
        connection, sums.of_raw(), sums, by, only
    )
