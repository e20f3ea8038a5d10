"""How heavy the report is and how soon it can be used: 365 days, 500 users, 50 servers.

    .venv/bin/python benchmarks/site.py

The figures are made by benchmarks/site.sql, and what a dozen runs leave beside them by
benchmarks/site_runs.sql, in an embedded database of its own. Building is timed from the published
marts to the written page, charts included; the page is served by the site's own server and opened
in headless Chromium. It can be used once the filter is there. Each time is the median of three; the
browser's cache is empty each time.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.database import fresh_database, write
from benchmarks.sessions import connect
from omniledger import modelling, site
from omniledger.database import Dsn
from omniledger.report import warm_up
from omniledger.settings import Settings
from tests.browser import FLAGS, chromium

FIGURES = [(Path(__file__).parent / name).read_text() for name in ("site.sql", "site_runs.sql")]
RUNS = 3
PICK = "user => { const s = document.querySelector('#filter [name=user]'); s.value = user;"
FILTER = PICK + "s.dispatchEvent(new Event('change', {bubbles: true})) }"


def show(what: str, figure: float, unit: str, goal: str) -> None:
    print(f"{what:<58} {figure:8.2f} {unit:<2}   goal {goal}", flush=True)


def median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(RUNS))


def building(dsn: Dsn, folder: Path) -> float:
    began = time.monotonic()
    with connect(dsn) as connection:
        site.build(connection, folder)
    return time.monotonic() - began


def opening(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the page can be used, and until a chosen user's figures stand there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    began = time.monotonic()
    page.goto(url)
    page.wait_for_selector("#filter:visible")
    usable = time.monotonic() - began
    before = page.inner_text("#requests")
    began = time.monotonic()
    page.evaluate(FILTER, page.eval_on_selector("#filter [name=user]", "s => s.options[9].value"))
    changed = "before => document.querySelector('#requests').innerText !== before"
    page.wait_for_function(changed, arg=before)
    filtered = time.monotonic() - began
    context.close()
    return usable, filtered


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with fresh_database(folder) as dsn:
            modelling.build(dsn, Settings(home=folder / "home"))
            write(dsn, *FIGURES)
            warm_up()
            show("report built", median(lambda: building(dsn, folder / "site")), "s", "10 s")
        page = folder / "site" / "index.html"
        show("page", page.stat().st_size / 1e6, "MB", "3 MB")
        with site.open_server(folder / "site", port=0) as server, sync_playwright() as playwright:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            times = [opening(browser, server.url) for _ in range(RUNS)]
            browser.close()
            server.shutdown()
        show("page can be used", statistics.median(t for t, _ in times), "s", "2 s")
        show("figures of one user, once chosen", statistics.median(t for _, t in times), "s", "-")


if __name__ == "__main__":
    main()
