"""What a filter leaves out, or can't leave out, is said beside it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from omniledger import site
from omniledger.database import Dsn, connect
from omniledger.report import cube_shapes, formats
from tests.browser import Look, Seen
from tests.conftest import ask
from tests.pages.conftest import Published, built_and_served, serving
from tests.pages.filtering import BY_SERVER, filtered


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


def test_users_that_cannot_be_chosen_are_told_of(
    published: Published, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cube_shapes.SHAPES, "usage", cube_shapes.usage_shape(cells_kept=4))
    with built_and_served(published(), tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=4")
        options = seen.page.locator("#filter [name=user] option").all_inner_texts()
        assert options[-1] == "Only the 2 dearest of 5 can be chosen"
        told = (
            "No such user here, where only the 2 dearest of 5 can be chosen: all users are shown."
        )
        assert told in seen.text("#filter output")
        assert seen.page.url == server.url


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
    with built_and_served(published(crowd), tmp_path) as server:
        seen = filtered(look, f"{server.url}?user=3")
        told = "Filtered: 0 of 50 rows. For users who aren’t listed see analytics.fct_daily_quota."
        assert seen.text("[aria-labelledby=quota-day] caption").endswith(told)
