"""The address keeps a filter, and Back undoes it."""

import pytest

from omniledger import site
from omniledger.database import Dsn
from tests.browser import Look
from tests.pages.filtering import figures_in, figures_of, filtered


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
