"""The price that models join and the one that `ledger.usage_cost` finds are the same."""

from __future__ import annotations

from random import Random

import pytest

from omniledger.database import connect
from tests.models.conftest import Marts

# Every boundary of every price, and a moment to each side of it.
DIFFERING = """
select asked.model, asked.at, ledger.usage_cost(asked.model, asked.at, 1000000, 0), joined.input_usd
from (
    select distinct p.model, moment + shift * interval '1 microsecond' as at
    from ledger.model_prices as p
    cross join lateral (values (p.valid_from), (p.valid_to)) as moments (moment)
    cross join (values (-1), (0), (1)) as shifts (shift)
    where moment between '2026-01-01' and '2026-12-31'
) as asked
left join analytics_build.int_model_prices as joined
    on
        asked.model = joined.llm_model
        and asked.at >= joined.valid_from
        and asked.at < joined.valid_to
where
    ledger.usage_cost(asked.model, asked.at, 1000000, 0) is distinct from joined.input_usd
"""


@pytest.mark.parametrize("seed", range(20))
def test_both_find_the_same_price(prices: Marts, seed: int) -> None:
    random = Random(seed)
    with connect(prices.dsn) as connection:
        for _ in range(12):
            connection.execute(
                "insert into ledger.model_prices"
                " (model, is_own, valid_from, valid_to, input, output, source)"
                " values (%s, %s, %s, %s, %s, 1, 'test') on conflict do nothing",
                [
                    random.choice("ab"),
                    random.random() < 0.5,
                    random.choice(("-infinity", f"2026-0{random.randrange(1, 8)}-01")),
                    random.choice((None, f"2026-0{random.randrange(1, 9)}-01")),
                    random.randrange(100),
                ],
            )
        assert connection.execute(DIFFERING.encode()).fetchall() == []
        connection.rollback()


@pytest.fixture(scope="module")
def prices(prepared: object) -> Marts:
    return prepared.restore("empty")  # type: ignore[attr-defined, no-any-return]
