"""What a reader filters on the page is the marts', to the last digit, and can be sent as a link."""

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from omniledger import site
from omniledger.database import Dsn, connect
from omniledger.report import cube_shapes, formats
from tests.browser import Seen
from tests.conftest import Server, ask
from tests.pages.conftest import Published, serving

Look = Callable[..., Seen]

LARGE = """
update analytics.fct_daily_usage
set cost_recomputed_usd = cost_recomputed_usd + 9007199254.740993, tokens_input = 9007199254740993
where user_id = 1 and usage_date = '2026-02-11'
"""
"""Figures that a float, or a script's own number, would round."""

SHOWN = {
    "requests": "coalesce(sum(requests), 0)::bigint",
    "tokens-input": "sum(tokens_input)::bigint",
    "tokens-output": "sum(tokens_output)::bigint",
    "cost-recomputed": "sum(cost_recomputed_usd)",
    "cost-recorded": "sum(cost_recorded_usd)",
    "cost-difference": "sum(cost_difference_usd)",
}


@pytest.fixture(scope="module")
def large(
    published_template: Dsn, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[site.SiteServer, Dsn]]:
    folder = tmp_path_factory.mktemp("filtered")
    dsn = server.new(published_template.dbname)
    ask(dsn, LARGE)
    with connect(dsn) as connection:
        site.build(connection, folder)
    with serving(folder) as site_server:
        yield site_server, dsn


def filtered(look: Look, url: str) -> Seen:
    seen = look(url)
    seen.page.wait_for_selector("#filter:visible")
    return seen


def figures_of(seen: Seen) -> list[str]:
    return [seen.text(f"#{name}") for name in SHOWN]


def figures_in(dsn: Dsn, where: str) -> list[str]:
    [row] = ask(
        dsn, f"select {', '.join(SHOWN.values())} from analytics.fct_daily_usage where {where}"
    )
    *counts, recomputed, recorded, difference = row
    return [
        *(formats.count(number) for number in counts),
        formats.usd(recomputed),
        formats.usd(recorded),
        formats.usd(difference, plus=True),
    ]


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
    with connect(dsn) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
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
    with connect(dsn) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=1234&model=crowded")
        assert figures_of(seen)[0] == "1"
        assert seen.text("#cost-recomputed") == "$0.0001234"
        assert seen.complaints == []


BY_SERVER = """
select
    mcp_server, sum(requests)::bigint, sum(tokens_total)::bigint, sum(cost_recomputed_usd),
    sum(cost_recorded_usd)
from analytics.fct_daily_mcp_cost
where {where}
group by is_no_server, mcp_server
order by is_no_server, sum(cost_recomputed_usd) desc
"""


def rows_of(seen: Seen, article: str) -> list[list[str]]:
    rows = seen.page.locator(f"[aria-labelledby={article}] tbody tr:visible").all()
    return [[cell.strip() for cell in row.inner_text().split("\t")] for row in rows]


def csv_in(seen: Seen, article: str) -> tuple[str, list[dict[str, str]]]:
    """The name of the CSV that a part of the page offers, and its rows."""
    link = seen.page.locator(f"[aria-labelledby={article}] .csv a").first
    text = unquote((link.get_attribute("href") or "").partition(",")[2]).removeprefix("\ufeff")
    return link.get_attribute("download") or "", list(csv.DictReader(io.StringIO(text)))


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


def test_what_does_not_follow_a_filter_says_so(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = large
    seen = filtered(look, server.url)
    assert seen.page.locator(".unfiltered").count() == 0
    seen = filtered(look, f"{server.url}?user=3&server=search")
    said = {
        "by-model": "Not filtered by server.",
        "by-server": "Not filtered by user.",
        "cost-basis": "Not filtered by user or server.",
        "costs": "Not filtered by user or server.",
        "crossings": "Not filtered by server.",
        "tools-title": "Not filtered by user.",
        "health-title": "Not filtered by user.",
    }
    for part, sentence in said.items():
        assert sentence in seen.text(f"[aria-labelledby={part}]"), part
    note = "xpath=//p[contains(., 'say which model')]/preceding-sibling::*[1]"
    assert seen.page.locator(note).inner_text() == "Not filtered by user."
    seen.page.click("#filter button")
    expect(seen.page.locator(".unfiltered")).to_have_count(0)


def test_the_chart_of_limits_shows_the_users_of_its_table(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?user=3")
    texts = seen.page.locator("[aria-labelledby=quota-day] figure svg:visible text")
    [row] = rows_of(seen, "quota-day")
    assert texts.all_text_contents()[2:] == [row[0], row[3]] == ["user 3", "82.5 %"]


def test_a_filter_by_server_says_what_it_is_of(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, dsn = large
    [(_, requests, _, cost, _)] = ask(dsn, BY_SERVER.format(where="mcp_server = 'search'"))
    seen = filtered(look, f"{server.url}?server=search")
    of_server = f"{formats.plural(requests, 'request')} called search: {formats.usd(cost)} is its"
    assert of_server in seen.text("#filter output")
    assert "usage is of all servers" in seen.text("#filter output")
    assert seen.text("#requests") not in seen.text("#filter output")
    seen = filtered(look, f"{server.url}?server=files&user=1")
    said = seen.text("#filter output")
    assert f"{seen.text('#requests')} requests, {seen.text('#cost-recomputed')}" in said
    assert "No request called files" in said


OLDER = """
insert into analytics.fct_daily_quota (
    quota_key, usage_date, user_id, cost_recorded_usd, cost_unpriced_usd, cost_used_usd,
    cost_limit_usd, used_share, is_exceeded, overspend_usd
)
values ('older', '2025-06-10', 1, 12, 0, 12, 12, 1, true, 0);
insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, day_seconds, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds
)
values ('older', '2025-06-10', 1, 86400, 80000, 6400, 0, 0);
insert into analytics.fct_bill_reconciliation (
    reconciliation_key, bill_date, is_settled, ledger_usd, billed_usd, difference_usd
)
values ('older', '2025-06-10', true, 1, 1, 0);
insert into analytics.fct_incidents (
    incident_key, opened_date, mcp_server_id, opened_at, closed_at, down_seconds, checks
)
select
    'more ' || n, opened_at::date, 1 + n % 2, opened_at, opened_at + interval '1 minute', 60, 1
from generate_series(1, 90) as n
cross join lateral (
    select timestamptz '2026-02-11 09:00+00' - n * interval '10 minutes' as opened_at
) as each
"""
"""Days that the page's lists don't reach, and more incidents than one lists."""


def captions_of(seen: Seen) -> dict[str, str]:
    parts = ("crossings", "servers", "incidents", "costs", "budget")
    return {part: seen.text(f"[aria-labelledby={part}] caption") for part in parts}


def test_lists_that_are_cut_say_since_when_they_list(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published(OLDER)
    with connect(dsn) as connection:
        site.build(connection, tmp_path)
    [(oldest,)] = ask(
        dsn,
        "select min(opened_date)::text from ("
        "select opened_date from analytics.fct_incidents where closed_at is not null"
        " order by opened_at desc limit 49) as listed",
    )
    since = {
        "crossings": "2025-11-13: the dates you chose are older, see analytics.fct_daily_quota.",
        "servers": "2026-02-10: the dates you chose are older, see analytics.fct_daily_health.",
        "budget": "2026-02-10: the dates you chose are older, see analytics.fct_daily_health.",
        "incidents": f"{oldest}: the dates you chose are older, see analytics.fct_incidents.",
        "costs": "2025-11-12: the dates you chose are older, see analytics.fct_daily_usage and"
        " analytics.fct_bill_reconciliation.",
    }
    with serving(tmp_path) as server:
        seen = filtered(look, f"{server.url}?from=2025-06-01&to=2025-06-30")
        for part, caption in captions_of(seen).items():
            assert caption.endswith(f" Filtered: this begins on {since[part]}")
        seen = filtered(look, f"{server.url}?server=search")
        listed = seen.page.locator("[aria-labelledby=incidents] tbody tr:visible").count()
        assert captions_of(seen)["incidents"].endswith(
            f" Filtered: {listed} of 50 rows. This begins on {oldest}: for older ones see"
            " analytics.fct_incidents."
        )
        seen = filtered(look, f"{server.url}?from=2026-02-12&server=search")
        assert "begins on" not in "".join(captions_of(seen).values())
        seen = filtered(look, server.url)
        told = "3 crossings, $0.520001 of overspend in all since 13 Nov 2025"
        assert captions_of(seen)["crossings"] == told
        assert "begins on" not in seen.text("main")
        assert seen.complaints == []


BY_NIGHT = """
update analytics.fct_incidents
set opened_at = '2026-02-11 23:30+00', closed_at = '2026-02-12 22:30+00', opened_date = '2026-02-12'
where incident_key = 'i';
insert into analytics.fct_hourly_health (
    hourly_health_key, health_date, mcp_server_id, hour_at, up_seconds, down_seconds,
    unknown_seconds, disabled_seconds, checks
)
values
    ('g', '2026-02-12', 1, '2026-02-11 23:00+00', 1800, 1800, 0, 0, 12),
    ('h', '2026-02-11', 1, '2026-02-11 22:00+00', 0, 3600, 0, 0, 12)
"""
"""Down in the hour before midnight of UTC, which in Berlin is the day after."""


def test_incidents_and_hours_are_of_the_days_of_the_reporting_zone(
    published: Published, look: Look, tmp_path: Path
) -> None:
    with connect(published(BY_NIGHT)) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
        for day, incidents, hours in (("11", ["files"], 1), ("12", ["server 9", "search"], 1)):
            seen = filtered(look, f"{server.url}?from=2026-02-{day}&to=2026-02-{day}")
            rows = rows_of(seen, "incidents")
            assert [row[0] for row in rows] == incidents
            assert len(rows_of(seen, "hours")) == hours
        seen = filtered(look, f"{server.url}?from=2026-02-13")
        assert [row[0] for row in rows_of(seen, "incidents")] == ["server 9"]


def test_back_undoes_a_filter(large: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, dsn = large
    seen = filtered(look, server.url)
    page, whole = seen.page, seen.text("main")
    page.select_option("#filter [name=user]", "1")
    page.select_option("#filter [name=model]", "claude-3-5-haiku")
    page.click("nav a[href='#health']")
    assert figures_of(seen) == figures_in(dsn, "user_id = 1 and llm_model = 'claude-3-5-haiku'")
    page.go_back()
    page.go_back()
    assert page.url == f"{server.url}?user=1"
    assert figures_of(seen) == figures_in(dsn, "user_id = 1")
    assert page.locator("#filter [name=model]").input_value() == ""
    page.go_back()
    assert (page.url, seen.text("main")) == (server.url, whole)
    page.go_forward()
    assert figures_of(seen) == figures_in(dsn, "user_id = 1")
    assert page.locator("#filter [name=user]").input_value() == "1"
    assert seen.complaints == []


def test_moving_a_date_is_one_step_back(large: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, dsn = large
    seen = filtered(look, server.url)
    for day in ("0002-02-12", "2026-02-12", "2026-02-11"):
        seen.page.fill("#filter [name=from]", day)
    seen.page.fill("#filter [name=to]", "2026-02-11")
    assert figures_of(seen) == figures_in(dsn, "usage_date = '2026-02-11'")
    seen.page.go_back()
    assert figures_of(seen) == figures_in(dsn, "usage_date >= '2026-02-11'")
    seen.page.go_back()
    assert (seen.page.url, seen.text("#filter output")) == (server.url, "Everything is shown.")


@pytest.mark.parametrize(
    ("query", "clean", "sentences"),
    [
        ("from=2026-02-12&to=2026-02-11", "from=2026-02-11&to=2026-02-12",
         ["From was after To: they are taken the other way round."]),
        ("from=garbage&to=2026-13-45", "",
         ["“garbage” is no day: From is left open.", "“2026-13-45” is no day: To is left open."]),
        ("to=2026-02-30&user=1&model=gpt&server=none%20such", "user=1",
         ["“2026-02-30” is no day: To is left open.", "No such model here: all models are shown.",
          "No such server here: all servers are shown."]),
        ("from=&user=", "", []),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_told_and_leaves_the_address(
    large: tuple[site.SiteServer, Dsn], look: Look, query: str, clean: str, sentences: list[str]
) -> None:
    server, _ = large
    seen = filtered(look, f"{server.url}?{query}")
    assert seen.page.url == server.url + (f"?{clean}" if clean else "")
    said = seen.text("#filter output")
    assert said.startswith(" ".join(sentences))
    fields = {name: seen.page.locator(f"#filter [name={name}]") for name in ("from", "to", "user")}
    assert {
        f"{name}={field.input_value()}" for name, field in fields.items() if field.input_value()
    } == set(filter(None, clean.split("&")))
    assert ("Everything is shown." in said) == (not clean)
    assert seen.complaints == []


def test_dates_chosen_the_wrong_way_round_are_turned(
    large: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, dsn = large
    seen = filtered(look, f"{server.url}?to=2026-02-11")
    seen.page.fill("#filter [name=from]", "2026-02-12")
    assert figures_of(seen) == figures_in(dsn, "usage_date between '2026-02-11' and '2026-02-12'")
    assert "From was after To" in seen.text("#filter output")


def test_users_that_cannot_be_chosen_are_told_of(
    published: Published, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cube_shapes.SHAPES, "usage", cube_shapes.usage_shape(cells_kept=4))
    with connect(published()) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=4")
        options = seen.page.locator("#filter [name=user] option").all_inner_texts()
        assert options[-1] == "Only the 2 dearest of 5 can be chosen"
        told = (
            "No such user here, where only the 2 dearest of 5 can be chosen: all users are shown."
        )
        assert told in seen.text("#filter output")
        assert seen.page.url == server.url


QUOTED = """
update analytics.fct_incidents set first_error = E'no "route",\\nnone' where mcp_server_id = 2
"""


def test_the_csv_beside_a_filtered_list_has_the_rows_that_are_shown(
    published: Published, look: Look, tmp_path: Path
) -> None:
    dsn = published(BY_NIGHT, QUOTED)
    with connect(dsn) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
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


MANY_TOOLS = """
insert into analytics.fct_daily_tool_usage
select 'busy ' || n, '2026-02-12', 'busy', 'tool ' || n, 100000 + n, 0, 0, 1, 1, 1, 700, now()
from generate_series(1, 25) as n
"""


def test_tools_that_are_not_told_apart_are_said_to_be(
    published: Published, look: Look, tmp_path: Path
) -> None:
    with connect(published(MANY_TOOLS)) as connection:
        site.build(connection, tmp_path)
    said = "Only the busiest tools of all servers are told apart: for the others see"
    with serving(tmp_path) as server:
        seen = filtered(look, f"{server.url}?server=search")
        [row] = seen.page.locator("#tools tbody tr").all_inner_texts()
        assert row.split("\t")[:3] == ["other tools", "search", "1,452"]
        assert f"{said} analytics.fct_daily_tool_usage." in seen.text("#tools caption")
        seen = filtered(look, f"{server.url}?server=busy")
        assert said not in seen.text("#tools caption")


def test_users_that_the_list_of_limits_lacks_are_told_of(
    published: Published, look: Look, tmp_path: Path
) -> None:
    crowd = (
        "insert into analytics.fct_daily_quota (quota_key, usage_date, user_id, cost_recorded_usd,"
        " cost_unpriced_usd, cost_used_usd, cost_limit_usd, used_share, is_exceeded, overspend_usd)"
        " select 'crowd ' || n, '2026-02-12', n, 9, 0, 9, 10, 0.9, false, 0"
        " from generate_series(1000, 1060) as n"
    )
    with connect(published(crowd)) as connection:
        site.build(connection, tmp_path)
    with serving(tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=3")
        told = "Filtered: 0 of 50 rows. For users who aren’t listed see analytics.fct_daily_quota."
        assert seen.text("[aria-labelledby=quota-day] caption").endswith(told)


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
