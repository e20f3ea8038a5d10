"""What people see: no words on each other, and no column out of sight where there is room."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from omniledger.database import Dsn
from omniledger.report import svg
from tests.browser import Look
from tests.conftest import Server, ask
from tests.pages.conftest import Published, built_and_served

A_WINTER = """
insert into analytics.fct_daily_usage (
    usage_key, usage_date, user_id, llm_model, source_system, requests, errors, blocked,
    tokens_input, tokens_output, tokens_cached, tokens_total, cost_recorded_usd,
    cost_recomputed_usd, cost_difference_usd
)
select
    'day ' || at, date '2026-02-12' - at, 1, 'claude-sonnet-4-5', 'chat', 15862, 184, 0, 32305032,
    4241680, 10768188, 36546712, 42.810750, 43.67220064, -0.86145064
from generate_series(0, 91) as at;

insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds
)
select 'day ' || at, date '2026-02-10' - at, 1, 86400, 0, 0, 0 from generate_series(1, 60) as at;

insert into analytics.fct_hourly_health (
    hourly_health_key, hour_at, mcp_server_id, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds, checks
)
select
    server || ' ' || at, timestamptz '2026-02-12 17:00+00' - at * interval '1 hour', server,
    3600 - at, at, 0, 0, 12
from generate_series(0, 18) as at
cross join generate_series(1, 2) as server;

update analytics.fct_daily_usage
set tokens_input = 1995306266, tokens_output = 249825134, tokens_cached = 665091961,
    requests = 984259, cost_recomputed_usd = 2648.75290568, cost_recorded_usd = 2595.545590,
    cost_difference_usd = -53.20731568
where usage_date = '2026-02-12';

update analytics.fct_incidents set first_error = 'https://example.org/' || repeat('a', 300);

insert into ledger.run_steps (run_id, step, started_at, seconds)
select run_id, 'models built', started_at, 7.5 from ledger.runs;
"""
"""Days of two years, the hours of an evening, and figures and errors as long as a gateway's."""


@pytest.fixture(scope="module")
def winter(
    published_template: Dsn, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("winter")
    dsn = server.new(published_template.dbname)
    ask(dsn, A_WINTER)
    with built_and_served(dsn, folder) as site_server:
        yield site_server.url


FILTERED = "?from=2025-11-20&to=2026-02-12"

ON_EACH_OTHER = """drawings => drawings.flatMap(drawing => {
    const said = [...drawing.querySelectorAll("text")].filter(text => text.textContent.trim());
    const boxes = said.map(text => [text.textContent, text.getBoundingClientRect()]);
    return boxes.flatMap(([name, one], at) => boxes.slice(at + 1).filter(([, other]) =>
        one.left < other.right + 3 && other.left < one.right + 3
        && one.top < other.bottom - 2 && other.top < one.bottom - 2
    ).map(([other]) => `${name} on ${other}`));
})"""


@pytest.mark.parametrize("query", ["", FILTERED], ids=["whole", "filtered"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_no_words_of_a_chart_lie_on_each_other(
    winter: str, look: Look, width: int, query: str
) -> None:
    seen = look(f"{winter}{query}", width=width)
    seen.page.wait_for_selector("#filter:visible")
    drawings = seen.page.locator("svg[role=img]:visible")
    assert drawings.count() >= 11
    assert drawings.evaluate_all(ON_EACH_OTHER) == []


@pytest.mark.parametrize("query", ["", FILTERED], ids=["whole", "filtered"])
def test_charts_along_time_name_the_year(winter: str, look: Look, query: str) -> None:
    seen = look(f"{winter}{query}")
    seen.page.wait_for_selector("#filter:visible")
    for chart, years in {
        "figure[data-picture=spend-by-day]": ["2025", "2026"],
        "figure[data-picture=tokens-by-day]": ["2025", "2026"],
        "figure[data-picture=health]": ["2025", "2026"],
        "[aria-labelledby=hours] figure": ["2026"],
        "[aria-labelledby=durations] figure >> nth=0": ["2026"],
    }.items():
        words = seen.page.locator(chart).inner_text()
        assert [year for year in years if year not in words] == [], chart


CUT = "tables => tables.filter(t => t.scrollWidth > t.clientWidth).map(t => t.ariaLabel)"


@pytest.mark.parametrize("width", [1184, 1280, 1440])
def test_every_column_is_seen_where_there_is_room(winter: str, look: Look, width: int) -> None:
    seen = look(winter, width=width)
    seen.page.wait_for_selector("#filter:visible")
    assert seen.page.locator(".table:visible").evaluate_all(CUT) == []


LOST = """tables => tables.filter(table => table.scrollWidth > table.clientWidth).flatMap(table => {
    table.scrollIntoView({block: "center", behavior: "instant"});
    table.scrollTo({left: table.scrollWidth, top: 40, behavior: "instant"});
    const edge = table.getBoundingClientRect();
    const rows = [...table.querySelectorAll("tbody th")];
    const head = table.querySelector("thead tr").cells[rows[0].cellIndex];
    const first = rows.find(cell => {
        const box = cell.getBoundingClientRect();
        return box.top > head.getBoundingClientRect().bottom && box.bottom < edge.bottom;
    });
    return [head, ...(first ? [first] : [])].filter(cell => {
        const box = cell.getBoundingClientRect();
        const seen = document.elementFromPoint(box.left + 3, box.top + box.height / 2);
        return box.left < edge.left || !cell.contains(seen) || box.width > edge.width * 0.65;
    }).map(cell => `${table.ariaLabel}: ${cell.innerText}`);
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_rows_keep_their_names_in_a_table_that_is_moved_sideways(
    winter: str, look: Look, scheme: str
) -> None:
    seen = look(winter, width=390, color_scheme=scheme)
    seen.page.wait_for_selector("#filter:visible")
    tables = seen.page.locator(".table:visible")
    assert len(tables.evaluate_all(CUT)) > 10
    assert tables.evaluate_all(LOST) == []


A_CREDIT = """
update analytics.fct_bill_reconciliation set billed_usd = -2.5
where bill_date = '2026-02-11' and billed_usd is not null
"""


def test_a_credit_of_the_first_days_is_drawn_within_its_chart(
    published: Published, look: Look, tmp_path: Path
) -> None:
    with built_and_served(published(A_CREDIT), tmp_path) as server:
        drawing = look(server.url).page.locator("figure[data-picture=spend-by-day] svg:visible")
        wide = drawing.evaluate("drawing => drawing.viewBox.baseVal.width")
        assert wide == pytest.approx(svg.WIDE, rel=0.1)
        names = drawing.locator("text", has_text="Feb 2026").all()
        bars = [bar.bounding_box() for bar in drawing.locator("path:has(title)").all()]
        for name in names:
            box = name.bounding_box()
            assert box is not None
            assert all(bar is None or bar["x"] >= box["x"] + box["width"] - 1 for bar in bars)


def test_a_chart_stands_beside_a_table_that_leaves_it_room(winter: str, look: Look) -> None:
    seen = look(winter)
    beside: dict[str, Any] = {}
    for article in ("cost-basis", "by-model"):
        side = seen.page.locator(f"[aria-labelledby={article}] .side")
        chart, table = side.locator("figure").bounding_box(), side.locator(".table").bounding_box()
        assert chart is not None and table is not None
        beside[article] = table["x"] > chart["x"] + chart["width"]
    assert beside == {"cost-basis": True, "by-model": False}


@pytest.mark.parametrize("width", [390, 600, 820, 1280])
def test_figures_leave_no_gap_and_captions_are_whole(winter: str, look: Look, width: int) -> None:
    seen = look(winter, width=width)
    seen.page.wait_for_selector("#filter:visible")
    gaps = """grids => grids.map(grid => {
        const area = box => box.width * box.height;
        const cells = [...grid.children].map(cell => area(cell.getBoundingClientRect()));
        return cells.reduce((sum, one) => sum + one, 0) / area(grid.getBoundingClientRect());
    })"""
    assert min(seen.page.locator(".figures").evaluate_all(gaps)) > 0.97
    past = """captions => captions.filter(caption => {
        const text = document.createRange();
        text.selectNodeContents(caption);
        const edge = caption.closest(".table").getBoundingClientRect().right;
        return text.getBoundingClientRect().right > edge;
    }).map(caption => caption.innerText)"""
    assert seen.page.locator("caption:visible").evaluate_all(past) == []


def test_printed_it_is_dark_on_white_with_whole_tables(winter: str, look: Look) -> None:
    seen = look(winter, width=718, color_scheme="dark")
    seen.page.wait_for_selector("#filter:visible")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 33, 38)"
    for hidden in (".csv", "#filter select", "nav[aria-label=Site]"):
        expect(seen.page.locator(hidden).first).to_be_hidden()
    assert "Everything is shown" in seen.text("#filter output")
    hidden = "tables => tables.filter(t => getComputedStyle(t).overflow !== 'visible').length"
    assert seen.page.locator(".table:visible").evaluate_all(hidden) == 0
