"""The site in a real browser: its figures, and that it keeps to itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import axe_playwright_python.base as axe
import pytest

from expectations import gate
from omniledger import site
from omniledger.database import Dsn, connect
from tests.browser import Look, Seen
from tests.conftest import Server, ask
from tests.pages.conftest import MART, Published, built_and_served, dbt_page, exposures
from tests.pages.test_report import PUBLISHED_NOW, TRACE

HEADLINES = {
    "requests": "select sum(requests)::bigint",
    "tokens-input": "select sum(tokens_input)::bigint",
    "tokens-output": "select sum(tokens_output)::bigint",
    "tokens-cached": "select sum(tokens_cached)::bigint",
    "cost-recorded": "select trim_scale(sum(cost_recorded_usd))",
    "cost-recomputed": "select trim_scale(sum(cost_recomputed_usd))",
}


@pytest.fixture(scope="module")
def served(
    published_template: Dsn, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[site.SiteServer, Dsn]]:
    folder = tmp_path_factory.mktemp("site")
    dsn = server.new(published_template.dbname)
    write_data_docs(dsn, folder)
    with built_and_served(
        dsn, folder, dbt_docs=dbt_page(tmp_path_factory.mktemp("dbt"))
    ) as site_server:
        yield site_server, dsn


def write_data_docs(dsn: Dsn, site_dir: Path) -> None:
    """Data Docs as the gate writes them, of a rule that is broken by a row with markup."""
    gate.warm_up()
    from great_expectations.core import ExpectationSuite

    from expectations.project import Project
    from expectations.rules import Judged, no_rows

    rule = no_rows(
        "Nobody has brackets in their name",
        "select user_id, display_name from batch where display_name like '%<%'",
    )
    suite = ExpectationSuite("users", expectations=[rule])
    with Project(dsn, site_dir / "home", site_dir) as project:
        project.judge(Judged(suite, query="select * from analytics.dim_users"))
        assert not project.run("20260212T120000").success


def quiet(seen: Seen, server: site.SiteServer) -> bool:
    """Whether a page asked nobody else and complained of nothing."""
    outside = [url for url in seen.requests if not url.startswith((server.url, "data:"))]
    assert outside == []
    assert seen.complaints == []
    return True


def test_figures_on_the_page_are_the_marts(served: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, dsn = served
    seen = look(server.url)
    assert quiet(seen, server)
    for identifier, query in HEADLINES.items():
        [(expected,)] = ask(dsn, f"{query} from analytics.fct_daily_usage")
        assert seen.text(f"#{identifier}").replace(",", "").replace("$", "") == str(expected)
    assert seen.text("#rows-total") == "1,287"
    assert seen.text("#gate-passed") == "4"
    assert seen.page.locator("svg[role=img]:visible").count() == 10


def test_a_name_with_markup_is_shown_as_text(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    seen = look(server.url)
    assert '<script>alert("user")</script>' in seen.text("main")
    assert seen.page.locator("script").count() == 1


def test_the_browser_holds_the_page_to_its_policy(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    seen = look(server.url)
    seen.page.evaluate("document.body.append(Object.assign(new Image, {src: 'http://192.0.2.1/'}))")
    assert any("Content Security Policy" in complaint for complaint in seen.complaints)
    assert seen.page.evaluate("getComputedStyle(document.body).margin") == "0px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820, 1440])
def test_the_page_fits_its_window(
    served: tuple[site.SiteServer, Dsn], look: Look, tmp_path: Path, width: int, scheme: str
) -> None:
    server, _ = served
    seen = look(server.url, width=width, color_scheme=scheme)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "elements => elements.filter(e => e.scrollWidth > e.clientWidth).length"
    assert seen.page.eval_on_selector_all(".figures dd, h1", cut) == 0
    assert seen.page.screenshot(path=tmp_path / "page.png", full_page=True)
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 26)") == (scheme == "dark")


BIG = """
update analytics.fct_daily_usage set
    requests = requests + 1234567, tokens_input = 11940592450, tokens_output = 1498398922,
    cost_recomputed_usd = 115864.48057936, cost_recorded_usd = 115546.069772
"""


@pytest.mark.parametrize("width", [320, 360, 600, 900])
def test_a_big_number_stands_on_one_line(
    published: Published, look: Look, tmp_path: Path, width: int
) -> None:
    with connect(published(BIG)) as connection:
        site.build(connection, tmp_path)
    seen = look((tmp_path / "index.html").as_uri(), width=width)
    lines = """elements => elements.filter(element => {
        const text = document.createRange();
        text.selectNodeContents(element);
        return new Set(Array.from(text.getClientRects(), box => box.top)).size > 1;
    }).map(element => element.innerText)"""
    assert seen.page.eval_on_selector_all("#overview .figures dd:not(.hint)", lines) == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width


def test_the_page_needs_no_script(served: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, _ = served
    seen = look(server.url, java_script_enabled=False)
    assert seen.page.locator("#cost-recomputed").inner_text() == "$2.1914128"


def test_a_page_that_is_read_days_later_is_not_fresh_any_more(
    published: Published, tmp_path: Path, look: Look
) -> None:
    with connect(published(PUBLISHED_NOW)) as connection:
        page = site.build(connection, tmp_path)
    seen = look(page.as_uri())
    answer = seen.page.locator(".answers li", has_text="Published")
    assert answer.get_attribute("class") == "good"
    seen.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=3))
    seen.page.reload()
    assert answer.get_attribute("class") == "warn"
    assert "Newer figures are overdue" in answer.inner_text()


def test_the_page_opens_from_the_folder(served: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, _ = served
    page = server.root / "index.html"
    seen = look(page.as_uri())
    assert seen.complaints == []
    assert seen.requests == [page.as_uri()]
    assert seen.text("h1").startswith("1,280 requests")


def test_model_docs_keep_to_themselves(served: tuple[site.SiteServer, Dsn], look: Look) -> None:
    server, _ = served
    seen = look(f"{server.url}models/")
    seen.page.wait_for_selector("text=Welcome")
    assert quiet(seen, server)


def test_model_docs_without_a_script_say_where_the_definitions_are(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    seen = look(f"{server.url}models/", java_script_enabled=False)
    assert "with a script" in seen.text("noscript")
    seen.page.click("noscript a")
    assert seen.page.url == f"{server.url}index.html#definitions"
    assert seen.page.locator("#definitions").is_visible()


@pytest.mark.parametrize("width", [390, 769, 900, 960])
@pytest.mark.parametrize("path", ["", f"#!/model/{MART}"], ids=["overview", "model"])
def test_model_docs_fit_their_window(
    served: tuple[site.SiteServer, Dsn], look: Look, width: int, path: str
) -> None:
    server, _ = served
    seen = look(f"{server.url}models/{path}", width=width)
    seen.page.wait_for_selector("#column-requests" if path else "text=Welcome")
    wide = "parts => parts.map(part => part.getBoundingClientRect().right)"
    rights = seen.page.eval_on_selector_all(".app, .app-menu, .app-content, .panel", wide)
    assert len(rights) >= 4 and max(rights) <= width


def test_data_docs_keep_to_themselves_and_name_the_rows(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    seen = look(f"{server.url}data_docs/")
    seen.page.click("a[href^=validations]")
    seen.page.wait_for_url("**/validations/**")
    assert "Nobody has brackets in their name" in seen.text("main")
    assert '<script>alert("user")</script>' in seen.text("main")
    seen.page.click("text=Overview")
    seen.page.wait_for_url(f"{server.url}index.html#overview")
    assert quiet(seen, server)


def serious(seen: Seen, options: dict[str, Any]) -> list[str]:
    """What axe finds that keeps somebody out, each with its first place."""
    seen.page.evaluate(axe.AXE_SCRIPT)
    found = seen.page.evaluate("options => axe.run(options)", options)["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def pages(root: Path) -> list[str]:
    """One of each kind of page, by its path."""
    validation = next(root.glob("data_docs/validations/**/*.html"))
    suite = next(root.glob("data_docs/expectations/*.html"))
    return ["", "models/", "data_docs/", *(str(p.relative_to(root)) for p in (validation, suite))]


NAVIGATION = ["Overview", "Usage", "Health", "Reconciliation", "Runs and gate", "Models"]


def leads_everywhere(seen: Seen, server: site.SiteServer) -> bool:
    """Whether the page has the one navigation, and each of its links a page."""
    entries = seen.page.eval_on_selector_all(
        "nav[aria-label=Site] a", "all => all.map(a => [a.innerText, a.href])"
    )
    assert [name for name, _ in entries if name != "omniledger"] == [*NAVIGATION, "Data Docs"]
    paths = [href.removeprefix(server.url).partition("#")[0] for _, href in entries]
    return all((server.root / (path or "index.html")).is_file() for path in paths)


def test_every_page_leads_everywhere_and_axe_finds_nothing_serious(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    for path in pages(server.root):
        seen = look(f"{server.url}{path}")
        assert leads_everywhere(seen, server), path
        if path == "models/":
            seen.page.wait_for_selector("text=Welcome")
        assert serious(seen, {"resultTypes": ["violations"]}) == [], path
        # Only colours differ in the dark; dbt's page has no dark side.
        if path != "models/":
            seen.page.emulate_media(color_scheme="dark")
            assert serious(seen, {"runOnly": ["color-contrast"]}) == [], path


def test_a_figure_says_what_it_means_and_leads_to_its_column(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, dsn = served
    [(words,)] = ask(
        dsn,
        "select col_description('analytics.fct_daily_usage'::regclass, attnum) from pg_attribute"
        " where attrelid = 'analytics.fct_daily_usage'::regclass and attname = 'requests'",
    )
    seen = look(server.url)
    term = seen.page.locator("#overview a.term", has_text="Requests")
    shown = "a => getComputedStyle(a, '::after').content"
    assert term.evaluate(shown) == "none"
    for show in (term.hover, term.focus):
        show()
        assert term.evaluate(shown) == f'"{words}"'
        seen.page.mouse.move(0, 0)
    described = seen.page.locator(f"#{term.get_attribute('aria-describedby')}")
    assert words in (described.text_content() or "")
    term.click()
    seen.page.wait_for_selector("#column-requests")
    assert "#!/model/model.omniledger.fct_daily_usage#column-requests" in seen.page.url


@pytest.mark.parametrize("is_served", [True, False], ids=["served", "from the folder"])
def test_an_exposure_with_an_address_leads_to_its_page(
    served: tuple[site.SiteServer, Dsn], look: Look, is_served: bool
) -> None:
    server, _ = served
    root = server.url if is_served else f"{server.root.as_uri()}/"
    with_address = [name for name, one in exposures().items() if one.get("url")]
    assert len(with_address) == 3
    for name in with_address:
        seen = look(f"{root}models/index.html#!/exposure/{name}")
        link = seen.page.locator("a", has_text="View this exposure")
        seen.page.wait_for_function("a => a.href", arg=link.element_handle())
        href = str(link.evaluate("a => a.href"))
        assert href.startswith(root)
        assert (server.root / href.removeprefix(root)).is_file(), href


def test_a_mart_names_the_table_that_was_judged(
    served: tuple[site.SiteServer, Dsn], look: Look
) -> None:
    server, _ = served
    seen = look(f"{server.url}models/index.html#!/model/{MART}")
    seen.page.wait_for_selector("#column-requests")
    assert "omniledger.analytics.fct_daily_usage" in seen.text(".app-details")
    assert "analytics_build.fct" not in seen.text(".app-details")
    seen.page.click("text=Database")
    tree = seen.text("[ng-show=\"nav_selected == 'database'\"]").split()
    assert tree[-3:] == ["omniledger", "analytics", "fct_daily_usage"]


SEEN = """row => {
    const inside = element => {
        const box = element.getBoundingClientRect();
        return element.contains(document.elementFromPoint(box.x + 5, box.y + box.height / 2));
    };
    const words = row.nextElementSibling.querySelector(".model-markdown, p");
    return [inside(row), inside(words), words.getBoundingClientRect().right <= innerWidth];
}"""


@pytest.mark.parametrize("size", [(1280, 900), (1024, 600), (360, 740)])
def test_a_column_that_was_asked_for_is_seen_marked_and_described(
    served: tuple[site.SiteServer, Dsn], look: Look, size: tuple[int, int]
) -> None:
    server, _ = served
    width, height = size
    seen = look(f"{server.url}models/index.html#!/model/{MART}#column-requests", width, height)
    seen.page.wait_for_selector("#column-requests.asked")
    # The page's own scrolling comes after its rows.
    seen.page.wait_for_timeout(500)
    row = seen.page.locator("#column-requests")
    assert row.evaluate(SEEN) == [True, True, True]
    assert quiet(seen, server)
    seen.page.evaluate("location.hash = location.hash.replace('requests', 'before_3')")
    seen.page.wait_for_selector("#column-before_3.asked")
    seen.page.wait_for_timeout(500)
    assert seen.page.locator("#column-before_3").evaluate(SEEN) == [True, True, True]
    assert seen.page.locator(".asked").count() == 1


@pytest.mark.parametrize(
    "change", [TRACE, "drop schema analytics, ledger cascade"], ids=["one day", "none"]
)
def test_one_day_or_none_is_a_page_too(
    published: Published, look: Look, tmp_path: Path, change: str
) -> None:
    with built_and_served(published(change), tmp_path) as server:
        for width in (360, 1280):
            seen = look(server.url, width=width)
            assert quiet(seen, server)
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        for link in ("Models", "Data Docs"):
            seen = look(server.url)
            seen.page.click(f"nav >> text={link}")
            seen.page.wait_for_selector("text=Back to the report")
            assert quiet(seen, server)
