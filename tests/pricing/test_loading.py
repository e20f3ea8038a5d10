"""The price list in the ledger, and the names that models have in the wild."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from omniledger.database import Dsn, connect
from omniledger.pricing import catalog
from omniledger.pricing.catalog import ListedModel
from omniledger.pricing.loading import Loaded, load, load_if_new
from omniledger.pricing.rates import Priced, Rates
from tests.conftest import Server, ask

MARCH, MAY = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)

ALL = """
    select valid_from::text, valid_to::text, input, source
    from ledger.model_prices where model = 'm' order by is_own, valid_from
"""


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return server.state("empty:upgraded")


@pytest.fixture(scope="module")
def listed(server: Server) -> Dsn:
    """A database with the whole list, which nobody changes."""
    dsn = server.state("empty:upgraded")
    with connect(dsn) as connection:
        assert load_if_new(connection) is not None
    return dsn


def loaded(dsn: Dsn, *prices: Priced, source: str = "list 1") -> Loaded:
    models = [ListedModel("m", (), prices)] if prices else []
    with connect(dsn) as connection:
        return load(connection, models, source)


def price(input_price: int, start: datetime | None = None, end: datetime | None = None) -> Priced:
    return Priced(start, end, Rates(Decimal(input_price), Decimal(9)))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-3-5-haiku", "claude-3-5-haiku"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-3-5-haiku-20241022", "claude-3-5-haiku"),
        ("anthropic/claude-3.5-haiku", "claude-3-5-haiku"),
        (" Anthropic/Claude-Sonnet-4-5 ", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("bedrock/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("claude-4.5-haiku", "claude-haiku-4-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google/gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("anthropic/claude-3.5-haiku:beta", "claude-3-5-haiku"),
        ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet"),
        ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4-5"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0:200k", "claude-3-5-haiku"),
        ("bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-imaginary-9", None),
        ("mistral-nemo:imaginary", None),
        ("", None),
        (None, None),
    ],
)
def test_names_in_the_wild_mean_one_model(listed: Dsn, name: str, model: str | None) -> None:
    assert ask(listed, "select ledger.canonical_model(%s)", name) == [(model,)]


def test_every_listed_name_means_the_model_that_the_list_means(listed: Dsn) -> None:
    for model in catalog.listed_models():
        if "claude" in model.name:
            names = [model.name, *model.aliases]
            meant = ask(
                listed, "select distinct ledger.canonical_model(n) from unnest(%s::text[]) n", names
            )
            assert len(meant) == 1, (names, meant)


def test_the_list_is_loaded_once(listed: Dsn) -> None:
    every = "select count(*), count(distinct model), md5(string_agg(p::text, '|' order by p)) from"
    before = ask(listed, f"{every} ledger.model_prices as p")
    assert before[0][1] > 200
    with connect(listed) as connection:
        assert load_if_new(connection) is None
        again = load(connection, catalog.listed_models(), "the same list, later")
    assert (again.new, again.changed, again.kept, again.unlisted) == ([], [], [], [])
    assert ask(listed, f"{every} ledger.model_prices as p") == before


def test_the_default_price_stays_what_the_investigation_says(listed: Dsn) -> None:
    assert ask(
        listed,
        "select valid_from::text, valid_to, input, output, cached_read, source"
        " from ledger.model_prices where model = 'claude-3-5-haiku'",
    ) == [
        (
            "-infinity",
            None,
            Decimal("0.80"),
            Decimal("4.00"),
            Decimal("0.08"),
            "investigation, 2024-12",
        )
    ]


def test_no_price_of_a_model_overlaps_another(listed: Dsn) -> None:
    overlapping = """
        select * from ledger.model_prices as a
        inner join ledger.model_prices as b using (model)
        where a.valid_from < b.valid_from and coalesce(a.valid_to, 'infinity') > b.valid_from
    """
    assert ask(listed, overlapping) == []


def test_a_tier_by_length_of_context_is_never_loaded(listed: Dsn) -> None:
    assert ask(
        listed, "select input from ledger.model_prices where model = 'claude-sonnet-4-5'"
    ) == [(3,)]


def test_a_dated_change_closes_the_old_row(dsn: Dsn) -> None:
    loaded(dsn, price(3))
    done = loaded(dsn, price(3, None, MARCH), price(2, MARCH), source="list 2")
    assert done.changed == ["m"]
    assert ask(dsn, ALL) == [
        ("-infinity", "2026-03-01 00:00:00+00", 3, "list 1"),
        ("2026-03-01 00:00:00+00", None, 2, "list 2"),
    ]
    again = loaded(dsn, price(3, None, MARCH), price(2, MARCH), source="list 3")
    assert (again.changed, again.kept) == ([], [])


def test_a_date_between_two_known_ones_closes_the_row_that_it_falls_into(dsn: Dsn) -> None:
    loaded(dsn, price(3, None, MAY), price(1, MAY))
    loaded(dsn, price(3, None, MARCH), price(2, MARCH, MAY), price(1, MAY), source="list 2")
    assert [(a, b, c) for a, b, c, _ in ask(dsn, ALL)] == [
        ("-infinity", "2026-03-01 00:00:00+00", 3),
        ("2026-03-01 00:00:00+00", "2026-05-01 00:00:00+00", 2),
        ("2026-05-01 00:00:00+00", None, 1),
    ]


def test_a_list_that_lowers_a_price_without_a_date_leaves_the_past_alone(dsn: Dsn) -> None:
    loaded(dsn, price(3))
    done = loaded(dsn, price(2), source="list 2")
    assert done.changed == ["m"]
    assert done.kept == [
        "m: the list now says 2 in and 9 out since ever, where 3 and 9 were loaded, which stay"
        " until now"
    ]
    [(start, end, old, _), (changed, never, new, source)] = ask(dsn, ALL)
    assert (start, end, old) == ("-infinity", changed, 3)
    assert (never, new, source) == (None, 2, "list 2")
    again = loaded(dsn, price(2), source="list 3")
    assert (again.changed, again.kept) == ([], [])


def test_a_list_that_takes_a_price_back_is_followed_from_then_on(dsn: Dsn) -> None:
    """As where one release of the list was wrong, and the next says what the first did."""
    loaded(dsn, price(3))
    loaded(dsn, price(2), source="list 2")
    done = loaded(dsn, price(3), source="list 3")
    assert done.changed == ["m"]
    assert done.kept == [
        "m: the list now says 3 in and 9 out since ever, where 2 and 9 were loaded, which stay"
        " until now"
    ]
    assert [(row[2], row[3]) for row in ask(dsn, ALL)] == [
        (3, "list 1"),
        (2, "list 2"),
        (3, "list 3"),
    ]
    again = loaded(dsn, price(3), source="list 4")
    assert (again.changed, again.kept) == ([], [])


def test_a_price_to_come_comes_into_force_when_it_is_dated(dsn: Dsn) -> None:
    later = datetime(2199, 1, 1, tzinfo=UTC)
    loaded(dsn, price(3, None, later), price(2, later))
    done = loaded(dsn, price(3, None, later), price(1, later))
    assert done.changed == []
    [kept] = done.kept
    assert "says 1 in and 9 out since 2199-01-01, where 2 and 9 were loaded, which stay" in kept
    assert [(row[0][:4], row[2]) for row in ask(dsn, ALL)] == [("-inf", 3), ("2199", 2)]


def test_a_list_that_lowers_a_price_of_the_past_is_told_and_not_followed(dsn: Dsn) -> None:
    loaded(dsn, price(3, None, MARCH), price(2, MARCH))
    done = loaded(dsn, price(1, None, MARCH), price(2, MARCH), source="list 2")
    assert done.changed == []
    assert done.kept == [
        "m: the list now says 1 in and 9 out since ever, where 3 and 9 were loaded, which stay"
    ]


def test_a_list_that_misses_a_model_leaves_its_price(dsn: Dsn) -> None:
    loaded(dsn, price(3))
    assert loaded(dsn).unlisted == ["claude-3-5-haiku", "m"]
    assert [row[2] for row in ask(dsn, ALL)] == [3]
