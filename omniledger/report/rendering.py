"""Write the report as one page that needs no network and no script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from omniledger.report import charts, formats, timelines
from omniledger.report.answers import STALE, answers
from omniledger.report.billing import CAUSES, cost_days, costs_since
from omniledger.report.collecting import Figures
from omniledger.report.cubes import packed
from omniledger.report.navigation import links
from omniledger.report.tables import csv_link
from omniledger.report.terms import Terms

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent.parent / "templates"

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%232f6f8f'/%3E"
    "%3Cpath d='M4 12V7M8 12V4M12 12V9' stroke='white' stroke-width='2'/%3E%3C/svg%3E"
)


def render(figures: Figures) -> str:
    """The report as HTML."""
    costs = cost_days(figures.usage, figures.bill)
    return _page(
        "report.html.j2",
        figures=figures,
        answers=answers(figures),
        stale=STALE,
        costs=costs,
        costs_since=costs_since(figures.usage, figures.bill),
        terms=Terms(figures.definitions),
        packed=packed(figures.cubes) if figures.cubes else "",
        script=_script() if figures.cubes else "",
    )


def placeholder(title: str, text: str, *, home: str, here: str = "") -> str:
    """A small page that stands where a part of the site isn't built yet; `home` leads back.

    `here` is the part's name in the navigation.
    """
    up = home.removesuffix("index.html")
    return _page("placeholder.html.j2", title=title, text=text, home=home, up=up, here=here)


def content_policy(style: str, script: str = "") -> str:
    """The Content-Security-Policy of a page of ours: its style, its script, data images."""
    scripts = f"script-src 'sha256-{_digest(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; {scripts}"
        "img-src 'self' data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _page(template: str, script: str = "", **values: object) -> str:
    style = _style()
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 -- a file of ours
            script=Markup(script),  # noqa: S704
            policy=content_policy(style, script),
            icon=Markup(ICON),  # noqa: S704
            **values,
        )
    )


@cache
def _style() -> str:
    return "\n" + (TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    """The page's script: its parts in one, all of them ours."""
    parts = (
        "cubes", "writing", "pictures", "tables", "health", "rows", "drawings", "address",
        "filters", "ageing",
    )  # fmt: skip
    texts = [(TEMPLATES / "script" / f"{name}.js").read_text(encoding="utf-8") for name in parts]
    return '\n"use strict";\n' + "\n".join(texts)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            name: getattr(formats, name)
            for name in (
                "usd", "count", "exact", "share", "duration", "milliseconds", "seconds",
                "moment", "day", "visible",
            )
        }
    )  # fmt: skip
    environment.globals.update(
        charts=charts,
        timelines=timelines,
        causes=CAUSES,
        navigation=links,
        plural=formats.plural,
        part_of=formats.part_of,
        csv_link=csv_link,
    )
    return environment
