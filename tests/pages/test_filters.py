"""What a reader filters on the page is the marts', to the last digit, and can be sent as a link."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from omniledger import site
from omniledger.database import Dsn
from omniledger.report import formats
from omniledger.report.health import SERVERS_LISTED
from tests.browser import Look
from tests.conftest import ask
from tests.pages.conftest import Published, built_and_served
from tests.pages.filtering import (
    BY_NIGHT,
    BY_SERVER,
    csv_in,
    figures_in,
    figures_of,
    filtered,
    rows_of,
)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("from=2026-02-11", "usage_date >= '2026-02-11'"),
        ("from=2026-02-11&to=2026-02-11&user=1", "usage_date = '2026-02-11' and user_id = 1"),
        ("user=none", "user_id is null"),
        ("model=claude-3-5-haiku", "llm_model = 'claude-3-5-haiku'"),
        ("to=2025-01-01", "false"),
        ("user=no+such", "true"),
    ],
)
def test_a_link_shows_the_sums_of_the_marts_rows(
    large: tuple[site.SiteServer, Dsn], look: Look, query: str, where: str
) -> None:
    server, dsn = large
    seen = filtered(look, f"{server.url}?{query}")
    assert figures_of(seen) == figures_in(dsn, where)
    assert ("No such user here" in seen.text("#filter output")) == ("no+such" in query)
    assert seen.complaints == []


def test_a_filter_that_leaves_no_request_says_zero(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?user=4&to=2026-02-11")
    figures = seen.text("#overview .figures")
    assert "on 0 of 0 requests" in figures
    assert "0 failed, 0 blocked" in figures
    assert "not recorded" not in figures


def test_tables_charts_and_csv_follow_and_come_back(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, dsn = large
    seen = filtered(look, server.url)
    before = seen.page.inner_text("main")
    pictures = seen.page.locator("#usage svg[role=img]:visible").count()
    seen.page.select_option("#filter [name=user]", "1")
    assert seen.page.url == f"{server.url}?user=1"
    table = seen.page.locator("[aria-labelledby=by-model]")
    expected = ask(
        dsn,
        "select llm_model, sum(requests)::text, sum(cost_recomputed_usd)"
        " from analytics.fct_daily_usage where user_id = 1 group by 1"
        " order by 3 desc nulls last, sum(requests) desc, 1",
    )
    rows = [row.inner_text().split("\t") for row in table.locator("tbody tr").all()]
    assert [(row[0].strip(), row[1], row[6]) for row in rows] == [
        (model, requests, formats.usd(cost)) for model, requests, cost in expected
    ]
    link = table.locator(".csv a").get_attribute("href") or ""
    text = unquote(link.partition(",")[2]).removeprefix("\ufeff")
    read = list(csv.DictReader(io.StringIO(text)))
    assert [(one["name"], Decimal(one["cost_recomputed_usd"])) for one in read] == [
        (model, cost) for model, _, cost in expected
    ]
    assert seen.page.locator("#usage .live svg:visible").count() >= 5
    seen.page.click("#filter button")
    expect(seen.page.locator(".live")).to_have_count(0)
    assert seen.page.locator("#usage svg[role=img]:visible").count() == pictures
    assert seen.page.inner_text("main") == before
    assert seen.page.url == server.url
    assert seen.complaints == []


def test_health_and_incidents_follow_dates_and_server(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, dsn = large
    seen = filtered(look, f"{server.url}?server=files&from=2026-02-10&to=2026-02-10")
    [(share, up, unknown)] = ask(
        dsn,
        "select uptime_share, up_seconds, unknown_seconds from analytics.fct_daily_health as health"
        " join analytics.dim_mcp_servers using (mcp_server_id)"
        " where mcp_server_name = 'files' and health_date = '2026-02-10'",
    )
    rows = seen.page.locator("tr[data-health][id]:visible")
    assert rows.count() == 1
    cells = rows.first
    assert cells.locator("[data-figure=uptime]").inner_text() == formats.share(share)
    assert cells.locator("[data-figure=up_seconds]").inner_text() == formats.duration(up)
    assert cells.locator("[data-figure=unknown_seconds]").inner_text() == formats.duration(unknown)
    names = seen.page.locator("[aria-labelledby=incidents] tbody tr:visible th").all_inner_texts()
    assert set(names) <= {"files"}
    seen = filtered(look, server.url)
    link = seen.page.locator("a[download='omniledger-health-by-day.csv']").get_attribute("href")
    listed = list(csv.DictReader(io.StringIO(unquote((link or "").partition(",")[2])[1:])))
    assert len(listed) == ask(dsn, "select count(*) from analytics.fct_daily_health")[0][0]


@pytest.fixture(scope="module")
def script(browser: Browser, large: tuple[site.SiteServer, Dsn]) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(large[0].url)
    yield page
    page.close()


units = st.integers(min_value=-(10**22), max_value=10**22)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(units, st.integers(0, 12)), min_size=1))
def test_the_script_writes_figures_as_the_page_does(
    script: Page, amounts: list[tuple[int, int]]
) -> None:
    told = [[str(number), scale] for number, scale in amounts]
    exact = [Decimal(number).scaleb(-scale) for number, scale in amounts]
    write = "all => all.map(([n, s]) => [usd(BigInt(n), s, true), decimal(BigInt(n), s)])"
    written = script.evaluate(write, told)
    assert [one for one, _ in written] == [formats.usd(amount, plus=True) for amount in exact]
    assert [Decimal(one) for _, one in written] == exact
    seconds = [abs(number) % 10**7 for number, _ in amounts]
    durations = script.evaluate("all => all.map(s => duration(s))", seconds)
    assert durations == [formats.duration(one) for one in seconds]
    pairs = [[one, one + other] for one, other in zip(seconds, reversed(seconds), strict=True)]
    shares = script.evaluate("all => all.map(([p, w]) => share(p, w) ?? 'not known')", pairs)
    assert shares == [formats.share(Decimal(p) / w if w else None) for p, w in pairs]


def test_dates_begin_where_clocks_were_set(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published()
    [(earliest,)] = ask(
        dsn,
        "select least("
        "(select min(usage_date) from analytics.fct_daily_usage),"
        " (select min(usage_date) from analytics.fct_daily_tool_usage),"
        " (select min(health_date) from analytics.fct_daily_health))::text",
    )
    ask(
        dsn,
        "insert into analytics.fct_daily_usage (usage_key, usage_date, user_id, llm_model,"
        " source_system, requests, errors, blocked)"
        " select day, day::date, 1, 'stray', 'chat', 1, 0, 0"
        " from unnest(array['0001-01-05', '1970-01-01']) as day",
    )
    with built_and_served(dsn, tmp_path) as server:
        seen = filtered(look, f"{server.url}?model=stray")
        fields = [seen.page.locator(f"#filter [name={name}]") for name in ("from", "to")]
        assert [field.get_attribute("min") for field in fields] == [earliest, earliest]
        assert figures_of(seen)[0] == "2"
        assert seen.complaints == []


def test_two_thousand_users_can_be_filtered_one_by_one(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published(
        "insert into analytics.fct_daily_usage (usage_key, usage_date, user_id, llm_model,"
        " source_system, requests, errors, blocked, cost_recomputed_usd)"
        " select 'crowd ' || n, '2026-02-12', n, 'crowded', 'chat', 1, 0, 0, n * 0.0000001"
        " from generate_series(1000, 2999) as n"
    )
    with built_and_served(dsn, tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=1234&model=crowded")
        assert figures_of(seen)[0] == "1"
        assert seen.text("#cost-recomputed") == "$0.0001234"
        assert seen.complaints == []


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("from=2026-02-11&model=claude-3-5-haiku",
         "usage_date >= '2026-02-11' and llm_model = 'claude-3-5-haiku'"),
        ("server=search&to=2026-02-11", "usage_date <= '2026-02-11' and mcp_server = 'search'"),
    ],
)  # fmt: skip
def test_cost_by_server_follows_dates_model_and_server(
    large: tuple[site.SiteServer, Dsn], look: Look, query: str, where: str
) -> None:
    server, dsn = large
    expected = ask(dsn, BY_SERVER.format(where=where))
    seen = filtered(look, f"{server.url}?{query}")
    *rows, last = rows_of(seen, "by-server") + ([] if "model" in query else [[]])
    assert [(row[0], row[1], row[4], row[5], row[6]) for row in rows] == [
        (name, formats.count(requests), formats.count(tokens), formats.usd(cost), formats.usd(paid))
        for name, requests, tokens, cost, paid in expected
    ]
    if "model" in query:
        total = figures_in(dsn, where)
        assert [last[0], last[1], last[6]] == ["All", total[0], total[4]]
        assert last[4] == formats.count(sum(row[2] for row in expected))
    name, read = csv_in(seen, "by-server")
    assert name == "omniledger-cost-by-server-filtered.csv"
    assert [(one["server"], Decimal(one["cost_recorded_usd"])) for one in read] == [
        (name, paid) for name, *_, paid in expected
    ]
    assert seen.page.locator("[aria-labelledby=by-server] .live svg:visible").count() == 1
    assert seen.complaints == []


def test_the_chart_of_limits_shows_the_users_of_its_table(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?user=3")
    texts = seen.page.locator("[aria-labelledby=quota-day] figure svg:visible text")
    [row] = rows_of(seen, "quota-day")
    assert texts.all_text_contents()[2:] == [row[0], row[3]] == ["user 3", "82.5 %"]


MANY_SERVERS = """
insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, day_seconds, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds, checks, responses
)
select
    'many ' || at || ' ' || server, date '2026-02-12' - at, server, 86400, 86400 - server,
    server, 0, 0, 288, 0
from generate_series(0, 89) as at
cross join generate_series(1001, 3000) as server
"""


def test_of_very_many_servers_the_page_lists_the_least_healthy_and_says_where_all_are(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published(MANY_SERVERS)
    with built_and_served(dsn, tmp_path) as server:
        assert (tmp_path / "index.html").stat().st_size < 3_000_000
        seen = filtered(look, server.url)
        for part in ("servers", "budget"):
            rows = seen.page.locator(f"[aria-labelledby={part}] tbody tr")
            assert rows.count() == SERVERS_LISTED
        [(servers,)] = ask(
            dsn, "select count(distinct mcp_server_id) from analytics.fct_daily_health"
        )
        assert len(csv_in(seen, "servers")[1]) == servers
        caption = seen.page.locator("[aria-labelledby=servers] caption")
        assert f"100 of {servers:,}, all are in the CSV" in caption.inner_text()
        seen = filtered(look, f"{server.url}?server=server%203000&from=2026-02-12")
        assert [row[0] for row in rows_of(seen, "servers")] == ["server 3000"]
        seen = filtered(look, f"{server.url}?server=search")
        assert rows_of(seen, "servers") == []
        caption = seen.page.locator("[aria-labelledby=servers] caption")
        assert "analytics.fct_daily_health" in caption.inner_text()
        assert seen.complaints == []


TWO_OF_A_NAME = """
update analytics.dim_mcp_servers set mcp_server_name = 'search' where mcp_server_id = 2;
update analytics.dim_mcp_servers set mcp_server_name = 'postgres' where mcp_server_id = 3
"""


def test_requests_are_found_by_the_name_that_the_page_shows_of_their_server(
    published: Published, look: Look, tmp_path: Path
) -> None:
    with built_and_served(published(TWO_OF_A_NAME), tmp_path) as server:
        for chosen, healths, incidents in (
            ("search%20(2)", {"search (2)"}, {"search (2)"}),
            ("search", {"search (1)", "search (2)"}, {"search (1)", "search (2)"}),
        ):
            seen = filtered(look, f"{server.url}?server={chosen}")
            for part, names in {"servers": healths, "incidents": incidents}.items():
                assert {row[0] for row in rows_of(seen, part)} == names, part
            assert [row[:2] for row in rows_of(seen, "tools-title")] == [["web_search", "search"]]
            assert [row[0] for row in rows_of(seen, "by-server")] == ["search"]
            assert "requests called search: $" in seen.text("#filter output")
        seen = filtered(look, f"{server.url}?server=postgres")
        assert "if it was renamed, those before bear its old name" in seen.text("#filter output")
        assert seen.complaints == []


ALIKE = """
insert into analytics.fct_daily_usage (
    usage_key, usage_date, user_id, llm_model, source_system, requests, cost_recomputed_usd
)
select 'alike ' || n, '2026-02-12', 1, 'a-model-🚀-of-a-long-name-' || n, 'chat', 1, n
from generate_series(1, 3) as n;

update analytics.dim_mcp_servers
set mcp_server_name = 'a-server-🚀-of-a-long-name-' || mcp_server_id;
"""


@pytest.mark.parametrize("of", ["model", "server"])
def test_a_filtered_chart_names_its_bars_as_the_whole_one_does(
    published: Published, look: Look, tmp_path: Path, of: str
) -> None:
    picture = {"model": "spend-by-model", "server": "health"}[of]
    with built_and_served(published(ALIKE), tmp_path) as server:
        seen = filtered(look, server.url)
        texts = seen.page.locator(f"figure[data-picture={picture}] svg:visible text")
        named = f"texts => texts.map(text => text.textContent).filter(text => /^a-{of}/.test(text))"
        whole = texts.evaluate_all(named)
        seen.page.fill("#filter [name=to]", "2026-02-12")
        expect(seen.page.locator(f"figure[data-picture={picture}] .live")).to_be_visible()
        assert sorted(texts.evaluate_all(named)) == sorted(whole)
    short = f"a-{of}-🚀-of-a-long-name"[:19] + "…"
    assert {short, f"{short} (2)"} < set(whole)


def test_incidents_and_hours_are_of_the_days_of_the_reporting_zone(
    published: Published, look: Look, tmp_path: Path
) -> None:
    with built_and_served(published(BY_NIGHT), tmp_path) as server:
        for day, incidents, hours in (("11", ["files"], 1), ("12", ["server 9", "search"], 1)):
            seen = filtered(look, f"{server.url}?from=2026-02-{day}&to=2026-02-{day}")
            rows = rows_of(seen, "incidents")
            assert [row[0] for row in rows] == incidents
            assert len(rows_of(seen, "hours")) == hours
        seen = filtered(look, f"{server.url}?from=2026-02-13")
        assert [row[0] for row in rows_of(seen, "incidents")] == ["server 9"]


@pytest.mark.parametrize(
    ("query", "billed"),
    [
        ("from=2026-02-11", ["2026-02-11: $0.43"]),
        ("to=2026-02-11&server=search", ["2026-02-10: $1.02", "2026-02-11: $0.43"]),
        ("user=1", []),
        ("from=2026-02-11&model=claude-3-5-haiku", []),
    ],
)
def test_the_bill_is_drawn_where_the_filter_leaves_it_whole(
    large: tuple[site.SiteServer, Dsn], look: Look, query: str, billed: list[str]
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?{query}")
    figure = seen.page.locator("figure[data-picture=spend-by-day]")
    drawn = figure.locator(".live rect[fill='var(--teal)'] title").all_text_contents()
    assert drawn == billed
    assert ("Billed" in figure.locator(".live text").all_text_contents()) == bool(billed)
    assert ("billed" in figure.locator("figcaption").inner_text()) == bool(billed)
    assert seen.complaints == []


def test_a_credit_on_the_bill_is_drawn_below_nothing(
    published: Published, look: Look, tmp_path: Path
) -> None:
    credit = (
        "update analytics.fct_bill_reconciliation set billed_usd = -0.5"
        " where bill_date = '2026-02-11' and billed_usd is not null"
    )
    with built_and_served(published(credit), tmp_path) as server:
        seen = filtered(look, f"{server.url}?to=2026-02-12")
        drawn = seen.page.locator("figure[data-picture=spend-by-day] .live")
        [[_, paid], [title, credited]] = drawn.locator(
            "rect[fill='var(--teal)']:has(title)"
        ).evaluate_all("bars => bars.map(bar => [bar.textContent, Number(bar.getAttribute('y'))])")
        floor = drawn.locator("rect[fill='var(--blue)']").last.evaluate(
            "bar => Number(bar.getAttribute('y')) + Number(bar.getAttribute('height'))"
        )
    assert f": {formats.usd(Decimal(-1))}" in title
    assert paid < floor < credited


@pytest.mark.parametrize(("day", "is_marked"), [("2026-02-10", False), ("2026-02-11", True)])
def test_a_budget_that_is_spent_on_the_days_that_are_left_is_marked(
    large: tuple[site.SiteServer, Dsn], look: Look, day: str, is_marked: bool
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?server=search&from={day}&to={day}")
    [row] = rows_of(seen, "budget")
    assert (formats.duration(-1)[0] in row[4], "✕" in row[4]) == (is_marked, is_marked)


def test_servers_are_the_least_healthy_first_on_the_days_that_are_left(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = large
    seen = filtered(look, server.url)
    before = [row[0] for row in rows_of(seen, "servers")]
    seen = filtered(look, f"{server.url}?from=2026-02-12")
    worst = ["server 9", "files", "search"]
    assert [row[0] for row in rows_of(seen, "servers")] == worst
    assert [row[0] for row in rows_of(seen, "budget")] == worst
    drawn = seen.page.locator("figure[data-picture=health] .live text").all_text_contents()
    assert [text for text in drawn if text in before] == worst
    seen.page.click("#filter button")
    expect(seen.page.locator(".live")).to_have_count(0)
    assert [row[0] for row in rows_of(seen, "servers")] == before
