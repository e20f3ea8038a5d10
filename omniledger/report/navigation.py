"""The one navigation of the site: the same links on the report, dbt's page and the Data Docs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """One entry: where it leads from the page that shows it; `is_here` on that page itself."""

    name: str
    href: str
    is_out: bool = False
    is_here: bool = False


_SECTIONS = {
    "Overview": "overview",
    "Usage": "usage",
    "Health": "health",
    "Reconciliation": "reconciliation",
    "Runs and gate": "runs",
}
_PARTS = {"Models": "models/index.html", "Data Docs": "data_docs/index.html"}


def links(up: str = "", here: str = "") -> tuple[Link, ...]:
    """The entries as seen from a page `up` (like `../`) leads to the root; `here` names its own.

    >>> [link.href for link in links()][:2]
    ['#overview', '#usage']
    """
    home = f"{up}index.html" if up else ""
    sections = (Link(name, f"{home}#{anchor}") for name, anchor in _SECTIONS.items())
    parts = (
        Link(name, f"{up}{page}", is_out=True, is_here=name == here)
        for name, page in _PARTS.items()
    )
    return (*sections, *parts)
