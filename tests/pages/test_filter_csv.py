"""The CSV beside a filtered list has what is shown."""

from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import expect

from omniledger import site
from omniledger.database import Dsn
from tests.browser import Look
from tests.conftest import ask
from tests.pages.conftest import Published, built_and_served
from tests.pages.filtering import BY_NIGHT, csv_in, filtered, rows_of

QUOTED = """
update analytics.fct_incidents set first_error = E'no "route",\\nnone' where mcp_server_id = 2
"""


def test_the_csv_beside_a_filtered_list_has_the_rows_that_are_shown(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published(BY_NIGHT, QUOTED)
    with built_and_served(dsn, tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=2&to=2026-02-11&server=files")
        lists = {
            "quota-day": ("quota", "user_id", ["2"]),
            "crossings": ("crossings", "user_id", []),
            "incidents": ("incidents", "server", ["files"]),
            "hours": ("hours", "server", []),
            "costs": ("costs", "day", ["2026-02-11", "2026-02-10"]),
        }
        for part, (name, column, expected) in lists.items():
            download, rows = csv_in(seen, part)
            assert download == f"omniledger-{name}-filtered.csv"
            assert [row[column] for row in rows] == expected, part
            assert len(rows_of(seen, part)) == len(expected), part
        assert csv_in(seen, "incidents")[1][0]["first_error"] == 'no "route", none'
        download, [row] = csv_in(seen, "servers")
        assert download == "omniledger-servers-filtered.csv"
        assert (row["server_id"], row["server"], row["up_seconds"]) == ("2", "files", "120000")
        days = seen.page.locator("a[download='omniledger-health-by-day-filtered.csv']")
        listed = unquote(days.get_attribute("href") or "").splitlines()[1:]
        assert [line.split(",")[:2] for line in listed] == [
            ["files", "2026-02-10"], ["files", "2026-02-11"],
        ]  # fmt: skip
        seen = filtered(look, f"{server.url}?to=2026-02-10")
        bill = seen.page.locator("a[download='omniledger-bill-filtered.csv']").get_attribute("href")
        assert len(unquote(bill or "").splitlines()) == 2
        assert seen.page.locator("a[download='omniledger-bill-causes.csv']").count() == 1
        seen.page.click("#filter button")
        expect(seen.page.locator("a[download*='-filtered']")).to_have_count(0)
        assert seen.complaints == []


@pytest.mark.parametrize("by", ["day", "model", "user", "source"])
def test_the_csv_of_usage_has_the_same_columns_filtered_and_tells_users_apart(
    large: tuple[site.SiteServer, Dsn], look: Look, by: str
) -> None:
    server, dsn = large
    seen = filtered(look, server.url)
    _, every = csv_in(seen, f"by-{by}")
    seen = filtered(look, f"{server.url}?from=2000-01-01")
    name, left = csv_in(seen, f"by-{by}")
    assert name == f"omniledger-usage-by-{by}-filtered.csv"
    assert list(left[0]) == list(every[0])
    assert next(iter(left[0])) == "id"
    for whole, part in zip(every, left, strict=True):
        known = {column for column, value in part.items() if value != ""}
        assert {"name", "requests", "tokens_input", "is_rest"} <= known
        for column in known:
            is_money = column.endswith("_usd")
            one, other = part[column], whole[column]
            assert Decimal(one) == Decimal(other) if is_money else one == other
    if by == "user":
        ids = {one["id"] for one in every}
        column = "coalesce(user_id::text, '')"
        assert ids == {
            row for (row,) in ask(dsn, f"select distinct {column} from analytics.fct_daily_usage")
        }
