"""The report's figures are the marts', to the last digit, and its page is inert."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniledger.database import Dsn, connect
from omniledger.errors import DatabaseError
from omniledger.history import BUILDING, JUDGING, PUBLISHING
from omniledger.report import (
    Figures,
    billing,
    charts,
    collect,
    collecting,
    formats,
    render,
    svg,
    timelines,
    totals,
)
from omniledger.report.answers import Answer, answers
from omniledger.report.figures import Quarantined, Usage, UsageRow
from tests.conftest import Server, ask
from tests.pages.conftest import Published

MINUS = "\N{MINUS SIGN}"

TRACE = """
truncate analytics.fct_daily_usage, analytics.fct_daily_tool_usage, analytics.fct_daily_health,
    analytics.fct_daily_quota, analytics.fct_bill_reconciliation, analytics.fct_incidents;
insert into analytics.fct_daily_usage (
    usage_key, usage_date, user_id, llm_model, source_system, requests, errors, blocked,
    tokens_input, tokens_output, tokens_cached, requests_cost_recorded, requests_cost_computed,
    requests_cost_estimated, requests_cost_unknown, requests_model_assumed, requests_impossible,
    cost_recorded_usd, cost_recomputed_usd, cost_difference_usd
) values
('a', '2023-11-16', 1, 'claude-3-5-haiku', 'chat', 8000, 0, 0, 18000000, 245000, 0, 8000, 0, 0, 0,
 0, 0, 15.380000, 15.38, 0),
('b', '2023-11-16', 2, 'claude-3-5-haiku', 'gateway', 819, 0, 0, 59974, 896, 0, 819, 0, 0, 0,
 0, 0, 0.051563, 0.0515632, -0.0000002);
"""


NO_COST = """
update analytics.fct_daily_usage
set cost_recorded_usd = null, cost_recomputed_usd = null, cost_difference_usd = null
"""


def figures_of(dsn: Dsn) -> Figures:
    with connect(dsn) as connection:
        return collect(connection)


def words_of(figures: Figures) -> str:
    """The page without its charts, which take a second to draw."""
    return render(replace(figures, usage=None, tools=(), quota=None, health=None))


def answer(figures: Figures, question: str) -> Answer:
    [found] = [one for one in answers(figures) if one.question == question]
    return found


def side(figures: Figures, name: str) -> tuple[UsageRow, ...]:
    assert figures.usage is not None
    rows: tuple[UsageRow, ...] = getattr(figures.usage, name)
    return rows


def test_every_chart_is_what_vega_lite_allows(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts: dict[str, alt.TopLevelMixin] = {}
    compile_chart = svg._compile

    def keep(chart: alt.TopLevelMixin, name: str, label: str) -> str:
        charts[name] = chart
        return compile_chart(chart, name, label)

    monkeypatch.setattr(svg, "_compile", keep)
    render(figures_of(published()))
    assert len(charts) >= 20
    for chart in charts.values():
        chart.to_dict(validate=True)


def test_totals_are_the_sums_of_the_mart(published: Published) -> None:
    dsn = published()
    [expected] = ask(
        dsn,
        "select sum(requests)::bigint, sum(tokens_input)::bigint, sum(tokens_output)::bigint,"
        " sum(tokens_cached)::bigint, sum(cost_recorded_usd), sum(cost_recomputed_usd),"
        " sum(cost_difference_usd) from analytics.fct_daily_usage",
    )
    usage = figures_of(dsn).usage
    assert usage is not None
    total = usage.total
    assert (
        total.requests,
        total.tokens_input,
        total.tokens_output,
        total.tokens_cached,
        total.cost_recorded_usd,
        total.cost_recomputed_usd,
        total.cost_difference_usd,
    ) == expected
    assert (usage.first_day, usage.last_day, usage.days) == (
        date(2026, 2, 10),
        date(2026, 2, 12),
        3,
    )


def test_the_first_sentence_claims_no_cost_of_requests_that_have_none(published: Published) -> None:
    """The recomputed cost is of those only whose tokens are known by kind."""
    figures = figures_of(published())
    assert figures.usage is not None
    total = figures.usage.total
    whole = replace(
        total,
        requests_cost_estimated=0,
        requests_cost_unknown=0,
        tokens_total=(total.tokens_input or 0) + (total.tokens_output or 0),
    )
    by_total = replace(whole, tokens_total=10**9)
    mixed = replace(
        whole,
        requests_cost_estimated=12,
        cost_estimated_usd=Decimal("1.50"),
        requests_cost_unknown=3,
    )
    none = replace(mixed, cost_recomputed_usd=None)
    assert (
        lede(figures, whole) == "That is what they cost at the prices in force, to the last digit."
    )
    assert lede(figures, by_total) == (
        "That is what those cost whose tokens are known by kind, at the prices in force and to the"
        " last digit."
    )
    rest = " The cost of 12 others is estimated from the total of tokens: $1.50. Of 3 nobody knows"
    assert lede(figures, mixed) == f"{lede(figures, by_total)}{rest} the cost."
    assert lede(figures, none) == (
        "No request\N{RIGHT SINGLE QUOTATION MARK}s tokens are known by kind, so nobody knows what"
        f" they cost at the prices in force.{rest} the cost."
    )


def lede(figures: Figures, total: Usage) -> str:
    """What the page says first of the cost, if these were the totals."""
    assert figures.usage is not None
    page = render(replace(figures, usage=replace(figures.usage, total=total), health=None))
    said = page.partition('<p class="lede">')[2].partition(" The gateway itself")[0]
    return re.sub("<[^>]*>", "", said)


def test_costs_that_nobody_knows_are_said_in_sentences(published: Published) -> None:
    figures = figures_of(published(NO_COST))
    page = re.sub("<[^>]*>", "", render(replace(figures, health=None)))
    assert "1,280 requests, cost not known" in page
    assert "The gateway itself wrote down no cost." in page


def test_a_server_that_was_deleted_is_not_waited_for(published: Published) -> None:
    before = answer(figures_of(published()), "Up")
    deleted = (
        "update analytics.dim_mcp_servers set checks_verdict = 'deleted', mcp_server_name = null"
        " where mcp_server_id = 2"
    )
    close = "delete from analytics.fct_incidents where closed_at is null"
    waited = answer(figures_of(published(close)), "Up")
    figures = figures_of(published(close, deleted))
    after = answer(figures, "Up")
    assert before.tone == "bad"
    assert (waited.answer, after.answer) == ("2 servers are unchecked", "server 9 is unchecked")
    assert waited.reason != after.reason
    assert figures.health is not None
    [gone] = figures.health.in_state("deleted")
    assert gone.server == "server 2"


def test_what_is_down_hides_no_server_that_nobody_checks(published: Published) -> None:
    figures = figures_of(published())
    assert figures.health is not None
    assert figures.health.in_state("down")
    [silent] = figures.health.in_state("unknown")
    assert answer(figures, "Up").reason.startswith(f"{silent.server} is unchecked. Uptime ")


def test_where_every_server_was_deleted_nothing_is_said_of_their_time(published: Published) -> None:
    deleted = (
        "insert into analytics.dim_mcp_servers (mcp_server_id) values (9);"
        "update analytics.dim_mcp_servers set checks_verdict = 'deleted';"
        "delete from analytics.fct_incidents where closed_at is null"
    )
    up = answer(figures_of(published(deleted)), "Up")
    assert (up.tone, up.answer, up.reason) == ("none", "No server is left", "All were deleted.")


@pytest.mark.parametrize("name", ["by_day", "by_model", "by_user", "by_source"])
def test_each_side_adds_up_to_the_total(published: Published, name: str) -> None:
    figures = figures_of(published())
    assert figures.usage is not None
    assert _sums([row.usage for row in side(figures, name)]) == _sums([figures.usage.total])


def _sums(usages: list[Usage]) -> tuple[int, Decimal, Decimal]:
    return (
        sum(usage.requests for usage in usages),
        sum((usage.cost_recomputed_usd or Decimal(0) for usage in usages), Decimal(0)),
        sum((usage.cost_recorded_usd or Decimal(0) for usage in usages), Decimal(0)),
    )


def test_a_day_of_a_clock_that_was_never_set_stretches_no_chart(published: Published) -> None:
    stray = (
        "insert into analytics.fct_daily_usage (usage_key, usage_date, user_id, requests,"
        " cost_recomputed_usd) select 'stray ' || day, day, 1, 1, 0.000001"
        " from unnest(array['0001-01-05', '1970-01-01', '2026-02-13', '2026-02-14']::date[]) as day"
    )
    figures = figures_of(published(stray))
    assert figures.usage is not None
    assert [row.name for row in side(figures, "by_day")][-2:] == ["1970-01-01", "0001-01-05"]
    days = charts._days(figures.usage.by_day)
    assert days[0].name == "2026-02-10"
    assert len(charts._range(days)) == 5
    assert "1970" not in charts.spend_by_day(billing.cost_days(figures.usage, figures.bill))


def test_charts_of_a_day_that_stands_alone_name_it(published: Published) -> None:
    dsn = published(
        "delete from analytics.fct_daily_usage where usage_date < '2026-02-12'",
        "delete from analytics.fct_bill_reconciliation",
        "insert into analytics.fct_daily_usage (usage_key, usage_date, user_id, llm_model,"
        " source_system, requests, errors, blocked)"
        " values ('old', '2023-11-16', 1, 'm', 'chat', 1, 0, 0)",
    )
    figures = figures_of(dsn)
    assert figures.usage is not None
    spend = charts.spend_by_day(billing.cost_days(figures.usage, figures.bill))
    for drawing in (spend, charts.tokens_by_day(figures.usage)):
        assert drawing.count(">12 Feb 2026<") == 2


def test_members_past_the_limit_are_one_row_that_keeps_the_sum(published: Published) -> None:
    crowd = (
        "insert into analytics.fct_daily_usage (usage_key, usage_date, user_id, requests,"
        " cost_recomputed_usd) select 'crowd ' || n, '2026-02-12', n, 1, 0.000001"
        " from generate_series(1000, 2999) as n"
    )
    figures = figures_of(published(crowd))
    *shown, rest = side(figures, "by_user")
    assert len(shown) == collecting.MEMBERS_SHOWN
    assert (rest.name, rest.is_rest) == ("1,980 other users", True)
    assert figures.usage is not None
    assert sum(row.usage.requests for row in (*shown, rest)) == figures.usage.total.requests
    assert "1,980 other users" in render(figures)


def test_what_nobody_recorded_is_not_zero(published: Published) -> None:
    figures = figures_of(published())
    legacy = next(row for row in side(figures, "by_source") if row.name == "legacy")
    assert legacy.usage.cost_recorded_usd is None
    assert legacy.usage.tokens_cached is None
    assert figures.usage is not None
    assert figures.usage.total.tokens_cache_write is None
    assert "not recorded" in render(figures)


def test_one_day_of_the_trace_shows_its_exact_cost(published: Published) -> None:
    dsn = published(TRACE)
    page = render(figures_of(dsn))
    for figure in (
        "8,819",
        "18,059,974",
        "245,896",
        "$15.4315632",
        "$15.431563",
        MINUS + "$0.0000002",
    ):
        assert f">{figure}<" in page
    with connect(dsn) as connection:
        assert totals(collect(connection))["cost recomputed"] == "$15.4315632"


def test_nothing_published_yet_in_an_empty_database(server: Server) -> None:
    dsn = server.new()
    figures = figures_of(dsn)
    assert (figures.usage, figures.health, figures.tools, figures.gate) == (None, None, (), None)
    assert "Nothing published yet" in render(figures)
    with connect(dsn) as connection:
        assert totals(collect(connection)) == {}


def test_nothing_published_yet_in_an_upgraded_database(server: Server) -> None:
    figures = figures_of(server.state("empty:upgraded"))
    assert [answer(figures, of).tone for of in ("Within quota", "Fresh", "Judged")] == ["none"] * 3
    assert "Nothing published yet" in render(figures)


def test_published_marts_without_a_row_are_no_requests_yet(published: Published) -> None:
    page = render(
        figures_of(
            published(
                "truncate analytics.fct_daily_usage, analytics.fct_daily_tool_usage,"
                " analytics.fct_daily_health"
            )
        )
    )
    assert "No requests yet" in page
    assert "Nothing published yet" not in page
    assert "No health check has been published yet." in page


def test_figures_are_of_one_snapshot(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = published()
    read_tools = collecting._tools

    def after_somebody_published(snapshot: Any) -> Any:
        ask(dsn, "delete from analytics.fct_daily_tool_usage where mcp_server = 'search'")
        return read_tools(snapshot)

    monkeypatch.setattr(collecting, "_tools", after_somebody_published)
    assert "search" in {tool.server for tool in figures_of(dsn).tools}


def test_a_connection_in_a_transaction_is_refused(published: Published) -> None:
    with connect(published()) as connection:
        connection.execute("select 1")
        with pytest.raises(ValueError, match="outside of a transaction"):
            collect(connection)


def test_a_mart_of_another_shape_is_one_sentence(published: Published) -> None:
    dsn = published("alter table analytics.fct_daily_usage drop column requests")
    with pytest.raises(DatabaseError, match=r"can't read the published figures \(column .requests"):
        figures_of(dsn)


def test_a_refused_run_leaves_the_figures_and_says_so(published: Published) -> None:
    figures = figures_of(published())
    assert figures.runs.standing_in is not None
    assert answer(figures, "Fresh").tone == "warn"
    page = words_of(figures)
    # They are of the morning of that day.
    assert (
        ">The figures before it stand: this page shows those published 12 Feb 2026, 06:00" in page
    )
    assert "more output tokens than all tokens" in page


PUBLISHED_NOW = """
insert into ledger.runs (run_id, started_at, finished_at, verdict)
values (gen_random_uuid(), now() - interval '9 seconds', now(), 'published')
"""


def test_a_run_published_since_clears_the_refusal(published: Published) -> None:
    figures = figures_of(
        published(
            PUBLISHED_NOW,
            # The run that builds the page may be under way still.
            "insert into ledger.runs (run_id, started_at) values"
            " (gen_random_uuid(), now() + interval '1 second')",
        )
    )
    assert figures.runs.standing_in is None
    assert answer(figures, "Fresh").tone == "good"
    assert "figures stand" not in words_of(figures)


def test_figures_that_nobody_renewed_for_days_are_not_fresh(published: Published) -> None:
    refused = "delete from ledger.runs where verdict = 'refused'"
    old = answer(figures_of(published(refused)), "Fresh")
    assert (old.tone, old.answer) == ("warn", "Published 12 Feb 2026, 06:00 UTC")
    assert old.reason == "Newer figures are overdue."


def test_alerts_that_are_not_listed_are_counted(published: Published) -> None:
    many = (
        "truncate ledger.alerts; insert into ledger.alerts (kind, subject, sentence)"
        " select 'server', n, n || ' is down' from generate_series(1, 60) as n"
    )
    assert "the oldest first; 50 of 60</caption>" in words_of(figures_of(published(many)))


def test_where_nobody_looked_the_page_claims_no_peace(published: Published) -> None:
    figures = figures_of(published("truncate ledger.alerts"))
    assert answer(figures, "Up").tone == "bad"
    page = words_of(figures)
    assert "Nothing is wrong" not in page
    assert "look whether anything is wrong; a run alone doesn’t." in page


def test_the_last_judgement_is_told_with_its_counts(published: Published) -> None:
    gate = figures_of(published()).gate
    assert gate is not None
    assert [gate.count(verdict) for verdict in ("passed", "failed", "warning")] == [4, 1, 1]
    assert [result.verdict for result in gate.results[:2]] == ["failed", "warning"]
    assert (gate.results[1].unexpected, gate.results[1].samples) == (3, 3)
    assert [name for name, _ in gate.suites] == [
        "audit_logs",
        "fct_daily_health",
        "fct_daily_usage",
    ]


def test_the_certificate_counts_every_row_and_compares_to_the_last_digit(
    published: Published,
) -> None:
    figures = figures_of(published())
    merge = figures.merge
    assert merge is not None
    assert merge.rows_total == merge.rows_copied + merge.rows_matched + merge.rows_quarantined
    assert all(row.agrees for row in merge.sums)
    assert figures.quarantine[0] == Quarantined("cost_estimate is not a number", 3)

    broken = figures_of(
        published(
            "update ledger.merge_runs set holds = false, detail = 'ids 4 and 7 differ',"
            " sums = jsonb_set(sums, '{cost_estimate,ledger}', '\"2.1914011\"')"
        )
    )
    assert broken.merge is not None
    assert [row.column for row in broken.merge.sums if not row.agrees] == ["cost_estimate"]
    assert answer(broken, "Whole").tone == "bad"
    assert "ids 4 and 7 differ" in words_of(broken)


def test_silence_is_not_health(published: Published) -> None:
    health = figures_of(published()).health
    assert health is not None
    files = next(server for server in health.servers if server.server == "files")
    assert files.unknown_seconds == 3 * 86400 - 120600
    assert files.uptime_share is not None
    assert round(files.uptime_share, 9) == round(Decimal(120000) / 120600, 9)
    silent = next(day for day in health.days if day.server == "files" and day.up_seconds == 0)
    assert silent.uptime_share is None


def test_a_server_that_was_deleted_keeps_its_number(published: Published) -> None:
    health = figures_of(published()).health
    assert health is not None
    assert "server 9" in {server.server for server in health.servers}


def test_servers_of_one_name_are_told_apart(published: Published) -> None:
    dsn = published()
    ask(dsn, "update analytics.dim_mcp_servers set mcp_server_name = 'twin'")
    health = figures_of(dsn).health
    assert health is not None
    twins = {server.server for server in health.servers if server.server.startswith("twin")}
    assert len(twins) > 1
    assert twins <= {f"twin ({server.server_id})" for server in health.servers}


def test_users_of_one_name_are_told_apart(published: Published) -> None:
    dsn = published("update analytics.dim_users set display_name = 'Ada' where user_id in (1, 3)")
    figures = figures_of(dsn)
    assert figures.quota is not None
    limited = {row.user for row in figures.quota.crossings.rows + figures.quota.of_day.rows}
    chosen = {one["name"] for one in figures.cubes["usage"]["members"]["user"]}
    for names in ({row.name for row in side(figures, "by_user")}, chosen, limited):
        assert {name for name in names if name.startswith("Ada")} == {"Ada (1)", "Ada (3)"}


def test_a_server_with_a_blank_name_is_called_by_its_number(published: Published) -> None:
    dsn = published()
    ask(dsn, "update analytics.dim_mcp_servers set mcp_server_name = ' '")
    health = figures_of(dsn).health
    assert health is not None
    assert {s.server for s in health.servers} == {f"server {s.server_id}" for s in health.servers}


def test_a_short_outage_takes_an_eighth_of_what_there_was_of_the_day(published: Published) -> None:
    health = figures_of(published()).health
    assert health is not None
    day = replace(health.days[0], up_seconds=700, down_seconds=1, unknown_seconds=99)
    day = replace(day, disabled_seconds=0)
    drawn = {one["series"]: one["value"] for one in timelines._health_records(day, "files")}
    assert drawn == {"Up": "700", "Down": "100", "Unknown": "99"}


def test_parts_of_a_bar_lie_in_the_order_of_the_legend(published: Published) -> None:
    """Also where the bar above has no part of a kind, as a refused run publishes nothing."""
    steps = "".join(
        "insert into ledger.run_steps (run_id, step, started_at, seconds)"
        f" select run_id, '{step}', started_at, 5 from ledger.runs where verdict <> '{but}';"
        for step, but in (("schema", ""), (BUILDING, ""), (JUDGING, ""), (PUBLISHING, "refused"))
    )
    drawn = charts.run_steps(figures_of(published(steps)).durations.steps)
    titles = re.findall(r'd="M([\d.]+),[^>]*><title>12 Feb 06:00, (\w+)', drawn.split("</svg>")[0])
    parts = [part for _, part in sorted(titles, key=lambda title: float(title[0]))]
    assert parts == ["build", "judge", "publish", "other"]


def test_names_of_strangers_are_text(published: Published) -> None:
    page = render(figures_of(published()))
    assert "&lt;script&gt;alert" in page
    assert "Reverse [U+202E]drow" in page


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("change", ["select 1", TRACE], ids=["three days", "one day"])
def test_the_page_runs_nothing_and_loads_nothing(published: Published, change: str) -> None:
    elements = Elements(render(figures_of(published(change)))).found
    assert [of for tag, of in elements if tag == "script"] == [{}]
    attributes = [(tag, name, value or "") for tag, of in elements for name, value in of.items()]
    assert not [a for a in attributes if a[1].startswith("on") or a[1] == "style"]
    assert not [a for a in attributes if a[1] in ("src", "href") and "//" in a[2][:8]]
    ids = [value for _, name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for _, _, value in attributes:
        if value.startswith("url(#"):
            assert value[5:-1] in ids


def test_every_chart_stands_beside_a_table(published: Published) -> None:
    tags = [tag for tag, _ in Elements(render(figures_of(published()))).found]
    assert tags.count("figure") == 10
    assert tags.count("svg") == 2 * tags.count("figure") + 1
    assert tags.count("caption") == tags.count("table") >= tags.count("figure")


def test_charts_hold_nothing_unseen(published: Published) -> None:
    drawn = [
        (tag, of) for tag, of in Elements(render(figures_of(published()))).found if tag in PARTS
    ]
    assert {tag for tag, _ in drawn} == PARTS
    assert not [of for _, of in drawn if of.get("opacity") in ("0", "1")]
    places = " ".join(value or "" for _, of in drawn for value in of.values())
    assert not re.search(r"\.\d{3}", places)


PARTS = {"g", "line", "path", "text"}

amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=12)


@given(amounts)
def test_money_is_written_to_its_last_digit(amount: Decimal) -> None:
    text = formats.usd(amount)
    assert Decimal(text.replace("$", "").replace(",", "").replace(MINUS, "-")) == amount
    assert len(text.partition(".")[2]) >= 2


HIDDEN = st.characters(categories=["Cc"]) | st.sampled_from("\u200f\u202e\u2066\ufffe\ufdd0")


@given(st.text(max_size=5), HIDDEN)
def test_no_control_or_direction_mark_is_left(text: str, mark: str) -> None:
    shown = formats.visible(f"{text}{mark}")
    assert mark not in shown
    assert formats.visible(shown) == shown


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda: formats.share(Decimal("0.99999")), "99.99 %"),
        (lambda: formats.share(Decimal(1)), "100 %"),
        (lambda: formats.part_of(1, 100_000), "< 0.1 %"),
        (lambda: formats.part_of(0, 0), "not known"),
        (lambda: formats.duration(86400), "1 d"),
        (lambda: formats.duration(4800), "1 h 20 min"),
        (lambda: formats.usd(Decimal("1E-7")), "$0.0000001"),
        (lambda: formats.usd(Decimal(f"-7.{1:030}")), f"{MINUS}$7.{1:030}"),
        (lambda: formats.usd(None), "not known"),
        (lambda: formats.exact(Decimal("2.1914010")), "2.191401"),
        (lambda: formats.plural(1, "match", "matches"), "1 match"),
    ],
)
def test_figures_are_written_honestly(write: Callable[[], str], expected: str) -> None:
    assert write() == expected
