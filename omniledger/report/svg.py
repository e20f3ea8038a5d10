"""Compile a Vega-Lite chart to SVG that stands inline in a page, in the page's font and colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    import altair as alt

WIDE = 520
NARROW = 312
"""Widths of the two drawings of each chart, px; the page shows the one that fits."""

HATCH = "url(#hatch)"
"""The fill of what nobody knows: a pattern, so that it doesn't hang on its colour alone."""

INK, INK_SOFT, LINE = "var(--ink)", "var(--ink-soft)", "var(--line)"

_NAMESPACE = "http://www.w3.org/2000/svg"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_PLACES = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2"}
"""Attributes that hold pixels: a hundredth is more than a screen shows."""

_SPOKEN = ("aria-", "role", "font-family", "class", "pointer-events")
"""Attributes left out: the picture is one image with one label, its table speaks for the rest."""

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": False,
        "labelColor": INK_SOFT,
        "labelFontSize": 12,
        "labelPadding": 6,
        "gridColor": LINE,
        "title": None,
    },
    "header": {"labelColor": INK_SOFT, "labelFontSize": 12, "title": None},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "labelColor": INK_SOFT,
        "labelFontSize": 12,
        "symbolType": "square",
        "symbolSize": 110,
        "symbolStrokeWidth": 0,
        "columnPadding": 24,
        "title": None,
        "offset": 8,
    },
    "text": {"color": INK, "fontSize": 12},
    "title": {"color": INK_SOFT, "fontSize": 12, "fontWeight": "normal", "anchor": "start"},
}


def warm_up() -> None:
    """Import the charts' libraries and start Vega, which takes a second before the first chart."""
    import altair  # noqa: F401
    import vl_convert

    vl_convert.vegalite_to_svg({"mark": "bar", "data": {"values": []}})


def draw(
    name: str, label: str, build: Callable[[int], alt.TopLevelMixin], wide: int = WIDE
) -> Markup:
    """Draw one chart twice, for a wide and a narrow page, with ids that no other chart has.

    `name` is unique on the page; `label` is what a screen reader says of the picture; `wide` is the
    width, in pixels, on a wide page.
    """
    from altair.utils.schemapi import debug_mode

    # Altair's check of each part takes a tenth of the page's time; a test does it instead.
    with debug_mode(False):
        charts = {"wide": build(wide), "narrow": build(NARROW)}
    drawings = (
        f'<div class="chart chart-{size}">{_compile(chart, f"{name}-{size}", label)}</div>'
        for size, chart in charts.items()
    )
    return Markup("".join(drawings))  # noqa: S704 -- built by ElementTree, which escapes


def _compile(chart: alt.TopLevelMixin, prefix: str, label: str) -> str:
    import vl_convert

    specification = chart.to_dict(validate=False)
    specification["config"] = _CONFIG
    return _inline(vl_convert.vegalite_to_svg(specification), prefix, label)


def _inline(svg: str, prefix: str, label: str) -> str:
    root = ElementTree.fromstring(svg)  # noqa: S314 -- our own compiler wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            if _is_frame(child) or child.get("opacity") == "0":
                parent.remove(child)
    for element in list(root.iter()):
        _tidy(element, prefix)
    root.attrib.pop("version", None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.insert(0, _hatch(f"{prefix}-hatch"))
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _is_frame(element: ElementTree.Element) -> bool:
    """Vega draws invisible frames around every group; like labels unseen, they only cost bytes."""
    return element.get("class") in ("background", "foreground") and not (
        {"fill", "stroke"} & set(element.attrib)
    )


def _tidy(element: ElementTree.Element, prefix: str) -> None:
    """Turn spoken labels of marks into hover titles, and make every id this chart's own."""
    hover = element.get("aria-label")
    if hover and element.get("aria-roledescription") in ("bar", "tick"):
        title = ElementTree.SubElement(element, f"{{{_NAMESPACE}}}title")
        title.text = hover
    for name, value in list(element.attrib.items()):
        if name.startswith(_SPOKEN) or (name, value) == ("opacity", "1"):
            del element.attrib[name]
        elif name in _PLACES:
            element.set(name, _LONG_NUMBER.sub(_hundredths, value))
        elif name == "id":
            element.set(name, f"{prefix}-{value}")
        else:
            element.set(name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _hatch(identifier: str) -> ElementTree.Element:
    definitions = ElementTree.Element(f"{{{_NAMESPACE}}}defs")
    pattern = ElementTree.SubElement(
        definitions,
        f"{{{_NAMESPACE}}}pattern",
        {
            "id": identifier,
            "width": "6",
            "height": "6",
            "patternUnits": "userSpaceOnUse",
            "patternTransform": "rotate(45)",
        },
    )
    for width, fill in (("6", "var(--unknown-ground)"), ("2.5", "var(--unknown)")):
        ElementTree.SubElement(
            pattern,
            f"{{{_NAMESPACE}}}rect",
            {"width": width, "height": "6", "fill": fill},
        )
    return definitions
