"""A page that somebody filters, and what it shows then."""

import csv
import io
from urllib.parse import unquote

from omniledger.database import Dsn
from omniledger.report import formats
from tests.browser import Look, Seen
from tests.conftest import ask

SHOWN = {
    "requests": "sum(requests)::bigint",
    "tokens-input": "sum(tokens_input)::bigint",
    "tokens-output": "sum(tokens_output)::bigint",
    "cost-recomputed": "sum(cost_recomputed_usd)",
    "cost-recorded": "sum(cost_recorded_usd)",
    "cost-difference": "sum(cost_difference_usd)",
}


def filtered(look: Look, url: str) -> Seen:
    seen = look(url)
    seen.page.wait_for_selector("#filter:visible")
    return seen


def figures_of(seen: Seen) -> list[str]:
    return [seen.text(f"#{name}") for name in SHOWN]


def figures_in(dsn: Dsn, where: str) -> list[str]:
    sums = ", ".join(f"case when count(*) > 0 then {one} else 0 end" for one in SHOWN.values())
    [row] = ask(dsn, f"select {sums} from analytics.fct_daily_usage where {where}")
    *counts, recomputed, recorded, difference = row
    return [
        *(formats.count(number) for number in counts),
        formats.usd(recomputed),
        formats.usd(recorded),
        formats.usd(difference, plus=True),
    ]


def rows_of(seen: Seen, article: str) -> list[list[str]]:
    rows = seen.page.locator(f"[aria-labelledby={article}] tbody tr:visible").all()
    return [[cell.strip() for cell in row.inner_text().split("\t")] for row in rows]


def csv_in(seen: Seen, article: str) -> tuple[str, list[dict[str, str]]]:
    """The name of the CSV that a part of the page offers, and its rows."""
    link = seen.page.locator(f"[aria-labelledby={article}] .csv a").first
    text = unquote((link.get_attribute("href") or "").partition(",")[2]).removeprefix("\ufeff")
    return link.get_attribute("download") or "", list(csv.DictReader(io.StringIO(text)))


BY_SERVER = """
select
    mcp_server, sum(requests)::bigint, sum(tokens_total)::bigint, sum(cost_recomputed_usd),
    sum(cost_recorded_usd)
from analytics.fct_daily_mcp_cost
where {where}
group by is_no_server, mcp_server
order by is_no_server, sum(cost_recomputed_usd) desc
"""


BY_NIGHT = """
update analytics.fct_incidents
set opened_at = '2026-02-11 23:30+00', closed_at = '2026-02-12 22:30+00', opened_date = '2026-02-12'
where incident_key = 'i';
insert into analytics.fct_hourly_health (
    hourly_health_key, health_date, mcp_server_id, hour_at, up_seconds, down_seconds,
    unknown_seconds, disabled_seconds, checks
)
values
    ('g', '2026-02-12', 1, '2026-02-11 23:00+00', 1800, 1800, 0, 0, 12),
    ('h', '2026-02-11', 1, '2026-02-11 22:00+00', 0, 3600, 0, 0, 12)
"""
"""Down in the hour before midnight of UTC, which in Berlin is the day after."""
