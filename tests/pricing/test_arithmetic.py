"""One arithmetic: for one row and for many, as the price list computes, as the writer did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniledger.database import Connection, connect
from omniledger.pricing.loading import load_if_new
from omniledger.pricing.own import say_price
from omniledger.pricing.rates import Rates
from tests.conftest import Server

MODELS = {
    model.id: (provider, model)
    for provider in providers
    if provider.id == "anthropic"
    for model in provider.models
    if model.get_prices(datetime(2026, 1, 1, tzinfo=UTC)).cache_write_mtok is not None
}
"""Those of the list that price every kind of token."""

SHORTEST_TIER = 100_000

tokens = st.integers(0, 33_000)
moments = st.integers(0, 3 * 365 * 86400).map(
    lambda second: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
some = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

JOINED = """
select ledger.price_usage(
    %(input)s, %(output)s, %(cached)s, %(cache_write)s,
    p.input, p.output, p.cached_read, p.cache_write_5m
)
from ledger.model_prices as p
where p.model = ledger.canonical_model(%(model)s)
and p.valid_from <= %(at)s and coalesce(p.valid_to, 'infinity') > %(at)s and not p.is_own
"""

ONE = """
select ledger.usage_cost(
    %(model)s, %(at)s, %(input)s, %(output)s, %(cached)s, %(cache_write)s
)
"""


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[Connection]:
    with connect(server.state("empty:upgraded"), autocommit=True) as connection:
        load_if_new(connection)
        yield connection


def cost(connection: Connection, query: str, **values: object) -> Decimal | None:
    row = connection.execute(query.encode(), {"cached": None, "cache_write": None, **values})
    answer: Decimal | None = (row.fetchone() or (None,))[0]
    return answer


@given(
    model=st.sampled_from(sorted(MODELS)),
    at=moments,
    kinds=st.tuples(tokens, tokens, tokens, tokens),
)
@some
def test_one_row_and_a_join_and_the_price_list_agree_to_the_last_digit(
    connection: Connection, model: str, at: datetime, kinds: tuple[int, int, int, int]
) -> None:
    uncached, output, cached, written = kinds
    row = {
        "model": model,
        "at": at,
        "input": uncached,
        "output": output,
        "cached": cached,
        "cache_write": written,
    }
    assert uncached + cached + written < SHORTEST_TIER
    provider, listed = MODELS[model]
    usage = Usage(
        # The list's input includes what was read from and written to the cache.
        input_tokens=uncached + cached + written,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    theirs = listed.calc_price(usage, provider, genai_request_timestamp=at).total_price
    assert cost(connection, ONE, **row) == theirs
    assert cost(connection, JOINED, **row) == theirs


@given(kinds=st.tuples(*[st.integers(0, 10**12)] * 3))
@some
def test_haiku_costs_what_the_investigations_formula_says(
    connection: Connection, kinds: tuple[int, int, int]
) -> None:
    tokens_input, tokens_output, tokens_cached = kinds
    exact = (
        (tokens_input * Decimal("0.80"))
        + (tokens_output * Decimal("4.00"))
        + (tokens_cached * Decimal("0.08"))
    ) / 1_000_000
    ours = cost(
        connection,
        ONE,
        model=None,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        input=tokens_input,
        output=tokens_output,
        cached=tokens_cached,
    )
    assert ours == exact
    written = round(
        (tokens_input / 1_000_000) * 0.80
        + (tokens_output / 1_000_000) * 4.00
        + (tokens_cached / 1_000_000) * 0.08,
        6,
    )
    # The formula's own floats lose digits in the billions; below that it is off by its rounding.
    assert abs(float(exact) - written) <= 0.0000005 + float(exact) * 1e-14


def test_the_vector_of_the_documentation(connection: Connection) -> None:
    haiku = {"model": "claude-3-5-haiku", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    kinds = {"input": 300, "output": 100, "cached": 1000, "cache_write": 200}
    assert cost(connection, ONE, **haiku, **kinds) == Decimal("0.00092")


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("nobody-knows", (1, 1, 0, 0)),
        ("claude-3-5-haiku", (None, 1, 0, 0)),
        ("claude-3-5-haiku", (1, None, 0, 0)),
        ("claude-3-5-haiku", (-1, 1, 0, 0)),
        ("claude-3-5-haiku", (1, 1, -1, 0)),
        # The list has no price of tokens that this model writes to a cache.
        ("gpt-4o", (1, 1, 0, 1)),
    ],
)
def test_what_nobody_knows_is_null_and_never_nothing(
    connection: Connection, model: str, kinds: tuple[int | None, ...]
) -> None:
    names = ("input", "output", "cached", "cache_write")
    row = dict(zip(names, kinds, strict=True))
    assert cost(connection, ONE, model=model, at=datetime.now(UTC), **row) is None


def test_an_absurd_number_of_tokens_is_still_exact(connection: Connection) -> None:
    most = 2**63 - 1
    row = {"model": "claude-3-5-haiku", "at": datetime.now(UTC), "input": most, "output": 0}
    assert cost(connection, ONE, **row) == most * Decimal("0.80") / 1_000_000


def test_a_price_is_in_force_from_its_first_moment_until_before_its_last(
    connection: Connection,
) -> None:
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    row = {"model": "boundary", "input": 1_000_000, "output": 0}
    say_price(connection, "boundary", Rates(Decimal(7), Decimal(1)), start, end)
    at = [start - timedelta(microseconds=1), start, end - timedelta(microseconds=1), end]
    assert [cost(connection, ONE, at=moment, **row) for moment in at] == [None, 7, 7, None]


def test_a_discount_is_taken_off_to_the_last_digit() -> None:
    listed, share = Decimal("999.12345678901234567891"), Decimal("0.1234567890123456789012")
    less = Rates(listed, listed, listed).less(share)
    exact = Fraction(listed) * (1 - Fraction(share))
    assert [Fraction(price) for price in less.values() if price is not None] == [exact] * 3
