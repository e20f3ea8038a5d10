"""dbt's documentation page as a part of the site: offline, under our navigation, readable by all.

dbt writes one page with its own scripts and templates. What is changed here is named one by one,
and each change is a text that is either found or left alone.
"""

from __future__ import annotations

import json
import re
from html import escape

from omniledger.marts import MARTS, PUBLISHED
from omniledger.report.navigation import links
from omniledger.report.rendering import ICON

_TRACKER = '"//d1fc8wv8zag5ca.cloudfront.net/2.9.0/sp.js"'
_ICON = re.compile(r'<link rel="shortcut icon"[^>]*>')

# A row of the table of columns gets an id, so that a figure of the report can lead to it.
_COLUMN_ROW = 'ng-repeat-start="column in get_columns(model) track by column.index"'
_COLUMN_ID = 'ng-attr-id="column-{{ column.name }}"'

# A mart's page and the tree of the database name the table that a run builds; readers get the
# judged one.
_MARTS = json.dumps([mart.name for mart in MARTS])
_SCHEMA = f'({_MARTS}.includes(e.name)?"{PUBLISHED}":e.schema)'
_RELATION, _JUDGED = 't+e.schema+"."+e.alias', f't+{_SCHEMA}+"."+e.alias'
_TREE, _JUDGED_TREE = 'groupBy(e,"schema")', f"groupBy(e,(e=>{_SCHEMA}))"

_SCROLLED = ('<div class="detail-body"', '<div class="table-responsive"')
"""Boxes with a scroll bar of their own, which the keyboard has to reach."""

_BAR_HEIGHT = "2.75rem"

# dbt's page is made for 960 pixels and more; below that it may be narrower, and on a phone the tree
# of models comes above the model.
# Colours too pale to read are darkened, and links in a text underlined (WCAG 1.4.1, 1.4.3).
# A column that was asked for is scrolled to below what sticks above it: the head of the page and of
# the table, on a phone only the latter.
_STYLE = f"""<style>
.site-bar {{ position: fixed; z-index: 9; top: 0; left: 0; right: 0; height: {_BAR_HEIGHT};
  display: flex; gap: 1.15rem; align-items: center; padding: 0 1rem; overflow-x: auto;
  background: #ffffff; border-bottom: 1px solid #dfe1dd; font-size: .9rem; white-space: nowrap; }}
.site-bar a {{ color: #5a626d; }} .site-bar a:first-child {{ color: #1d2126; font-weight: 650; }}
.site-bar a[aria-current] {{ color: #1d2126; text-decoration: underline; }}
.no-script {{ margin: {_BAR_HEIGHT} 0 0; padding: 1rem; }}
.app {{ top: {_BAR_HEIGHT} !important; height: calc(100% - {_BAR_HEIGHT}) !important; }}
.switches .switch .switch-label, .filename-normal, .detail-label, h1 small, th, .text-light,
.text-muted {{ color: #56606a !important; }}
.app-content a, .nav-tabs a {{ color: #00696b !important; }}
.section-content a, .markdown a {{ text-decoration: underline; }}
[id^=column-] {{ scroll-margin-top: 12rem; }} [id^=column-].asked > td {{ background: #fbf0da; }}
@media (max-width: 60rem) {{
  body, .app, .layout {{ min-width: 0 !important; width: 100% !important; }}
  .app > .app-content {{ min-width: 0; }}
}}
@media (max-width: 48rem) {{
  .app {{ flex-direction: column !important; }}
  .app > .app-menu {{ flex: 0 0 35% !important; }}
  .app > .app-column {{ width: 100% !important; }}
  .app-menu > .app-header {{ display: none; }}
  .app > .app-content {{ min-height: 0; border-top: 1px solid #dfe1dd; }}
  .app-content .app-pad {{ padding: 12px; }} .app-content .app-pad-h {{ padding: 0 12px; }}
  .app-content .app-sticky {{ position: static; }} [id^=column-] {{ scroll-margin-top: 4rem; }}
  .column-expanded > div {{ max-width: calc(100vw - 8rem); }}
}}
</style>"""

# dbt's page writes its rows when it likes, and has a hash of its own before that of the column. The
# column that was asked for is marked and, once, opened, for the row cuts its description short.
_SCRIPT = """<script>
(() => {
  const show = () => {
    const row = document.getElementById(location.hash.split("#")[2] || " ");
    const before = document.querySelector(".asked");
    if (before && before !== row) before.classList.remove("asked");
    if (!row?.id.startsWith("column-") || row === before) return;
    row.classList.add("asked");
    if (!row.classList.contains("column-row-selected")) row.click();
    row.scrollIntoView();
  };
  new MutationObserver(show).observe(document.body, {childList: true, subtree: true});
  addEventListener("hashchange", show);
})();
</script>"""

_NO_SCRIPT = (
    '<noscript><p class="no-script">This page draws itself with a script, which this browser '
    "doesn’t run. What each figure means says the report, too: "
    '<a href="../index.html#definitions" target="_self">What the figures mean</a>.</p></noscript>'
)


def adapt(page: str) -> str:
    """dbt's page without what it would load from elsewhere, and with the site's navigation."""
    page = page.replace(_TRACKER, '""')
    page = page.replace('<use xlink:href="{{ ', '<use ng-attr-xlink:href="{{ ')
    page = page.replace(_COLUMN_ROW, f"{_COLUMN_ID} {_COLUMN_ROW}")
    page = page.replace(_RELATION, _JUDGED).replace(_TREE, _JUDGED_TREE)
    for box in _SCROLLED:
        page = page.replace(box, f'{box} tabindex="0"')
    page = page.replace(",minimum-scale=1,maximum-scale=1", "")
    page = _ICON.sub(lambda _: f'<link rel="icon" href="{ICON}"/>', page)
    page = page.replace("<html>", '<html lang="en">', 1)
    page = page.replace("</head>", f"{_STYLE}</head>", 1)
    return page.replace("<body>", f"<body>{_bar()}{_NO_SCRIPT}{_SCRIPT}", 1)


def _bar() -> str:
    current = {True: ' aria-current="page"', False: ""}
    entries = "".join(
        f'<a href="{escape(link.href)}" target="_self"{current[link.is_here]}>{link.name}</a>'
        for link in links("../", "Models")
    )
    home = '<a href="../index.html" target="_self">omniledger</a>'
    return f'<nav class="site-bar" aria-label="Site">{home}{entries}</nav>'
