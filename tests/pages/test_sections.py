"""Quota, bill, health and CSV on the report are the marts', and addresses stay out of it."""

from html.parser import HTMLParser

import pytest

from omniledger.database import connect
from omniledger.report import collect, render
from omniledger.report.answers import answers
from omniledger.report.billing import cost_days, costs_since
from omniledger.report.health import INCIDENTS_SHOWN
from omniledger.report.servers import SERVERS_SHOWN
from omniledger.report.tables import csv_of
from tests.conftest import ask
from tests.pages.conftest import Published
from tests.pages.test_report import figures_of


def test_quota_is_the_marts_day_and_its_crossings(published: Published) -> None:
    dsn = published()
    quota = figures_of(dsn).quota
    assert quota is not None
    assert quota.is_today
    [expected] = ask(
        dsn,
        "select sum(cost_used_usd), sum(overspend_usd), count(*) filter (where is_exceeded)"
        " from analytics.fct_daily_quota where usage_date = '2026-02-12'",
    )
    assert (quota.of_day.used_usd, quota.of_day.overspend_usd, quota.of_day.exceeded) == expected
    assert [row.user_id for row in quota.crossings.rows] == [4, 2, 1]


def test_the_answer_on_quota_names_its_day(published: Published) -> None:
    figures = figures_of(published())
    [first, *_] = answers(figures)
    assert first.answer == "2 users over the limit today, 12 Feb 2026"


def test_causes_add_up_to_the_difference_of_the_bill(published: Published) -> None:
    dsn = published()
    bill = figures_of(dsn).bill
    assert bill is not None
    [(difference,)] = ask(dsn, "select sum(difference_usd) from analytics.fct_bill_reconciliation")
    assert bill.total.difference_usd == difference
    assert sum(cause.amount_usd or 0 for cause in bill.causes) == difference


SPARSE = """
insert into analytics.fct_bill_reconciliation (
    reconciliation_key, bill_date, is_settled, ledger_usd, billed_usd, difference_usd
)
select 'long ' || d, d, true, 1, 2, 1
from generate_series(timestamp '2025-06-01', '2026-02-09', '1 day') as d;
insert into analytics.fct_daily_usage (
    usage_key, usage_date, llm_model, source_system, requests, cost_recorded_usd,
    cost_recomputed_usd
)
select 'long ' || d, d, 'claude-3-5-haiku', 'chat', 1, 1, 1
from generate_series(timestamp '2025-06-01', '2026-02-09', '{step} days') as d
"""


@pytest.mark.parametrize("step", [1, 3])
def test_no_day_lacks_a_cost_that_the_marts_know(published: Published, step: int) -> None:
    dsn = published(SPARSE.format(step=step))
    figures = figures_of(dsn)
    costs = cost_days(figures.usage, figures.bill)
    assert costs[-1].day == costs_since(figures.usage, figures.bill)
    known = ask(
        dsn,
        "select bill_date, sum(cost_recorded_usd), sum(billed_usd) from ("
        "  select bill_date, sum(billed_usd) as billed_usd"
        "  from analytics.fct_bill_reconciliation group by 1) as bill"
        " full join ("
        "  select usage_date as bill_date, sum(cost_recorded_usd) as cost_recorded_usd"
        "  from analytics.fct_daily_usage group by 1) as usage using (bill_date)"
        " group by 1",
    )
    told = {day: (recorded, billed) for day, recorded, billed in known}
    assert {one.day: (one.cost_recorded_usd, one.billed_usd) for one in costs} == {
        one.day: told[one.day] for one in costs
    }


def test_cost_by_server_adds_up_to_the_usage_and_stands_as_csv(published: Published) -> None:
    figures = figures_of(published())
    assert figures.usage is not None
    usage, servers = figures.usage.total, figures.servers
    assert [row.server for row in servers] == ["search", "<b>files</b>", "no server"]
    assert sum(row.cost_recomputed_usd or 0 for row in servers) == usage.cost_recomputed_usd
    assert sum(row.cost_recorded_usd or 0 for row in servers) == usage.cost_recorded_usd
    assert sum(row.tokens_total or 0 for row in servers) == usage.tokens_total
    page = render(figures)
    assert "<b>files</b>" not in page
    assert 'download="omniledger-cost-by-server.csv"' in page
    assert csv_of(servers).splitlines()[0].startswith("server,requests,requests_shared,")


def test_many_servers_are_one_row_and_what_called_none_is_never_in_it(
    published: Published,
) -> None:
    crowd = (
        "insert into analytics.fct_daily_mcp_cost (mcp_cost_key, usage_date, mcp_server,"
        " is_no_server, requests, requests_shared, requests_cost_unknown, calls,"
        " cost_recomputed_usd) select 'crowd ' || n, '2026-02-12', 'server ' || n, false, 1, 0, 0,"
        " 1, 99 from generate_series(1, 60) as n"
    )
    *shown, rest, none = figures_of(published(crowd)).servers
    assert len(shown) == SERVERS_SHOWN
    assert (rest.server, rest.is_rest, rest.requests) == ("37 other servers", True, None)
    assert (none.server, none.is_no_server) == ("no server", True)


def test_open_incidents_come_first_and_silence_is_unknown(published: Published) -> None:
    health = figures_of(published()).health
    assert health is not None
    assert health.incidents[0].closed_at is None
    assert {s.server: health.state(s) for s in health.servers} == {
        "search": "up",
        "files": "unknown",
        "database": "up",
        "server 9": "down",
    }


@pytest.mark.parametrize(
    ("zone", "closed"),
    [("Asia/Tokyo", "2026-02-09 15:30"), ("America/New_York", "2026-02-10 05:30")],
)
def test_incidents_are_listed_from_the_first_day_of_the_reporting_zone_on(
    published: Published, zone: str, closed: str
) -> None:
    health = figures_of(
        published(
            f"insert into ledger.settings values ('reporting_timezone', '{zone}')"
            " on conflict (name) do update set value = excluded.value;"
            "insert into analytics.fct_incidents (incident_key, opened_date, mcp_server_id,"
            " opened_at, closed_at, down_seconds, checks)"
            " select 'first ' || n, '2026-02-09', 3, timestamptz '2026-02-09 12:00+00',"
            f" timestamptz '{closed}+00' - n * interval '1 hour', 60, 1"
            " from generate_series(0, 1) as n"
        )
    ).health
    assert health is not None and str(health.first_day) == "2026-02-10"
    assert [str(one.closed_date) for one in health.incidents if one.server_id == 3] == [
        "2026-02-10"
    ]


FALLEN = """
insert into analytics.dim_mcp_servers (mcp_server_id, mcp_server_name, checks_verdict)
select 100 + n, 'fallen ' || n, 'running' from generate_series(1, 60) as n;
insert into analytics.fct_incidents (
    incident_key, opened_date, mcp_server_id, opened_at, last_down_at, down_seconds, checks
)
select 'fallen ' || n, '2026-02-12', 100 + n, '2026-02-12 17:00+00', '2026-02-12 18:00+00', 3600, 12
from generate_series(1, 60) as n;
insert into analytics.fct_daily_health (
    health_key, health_date, mcp_server_id, day_seconds, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds
)
select 'fallen ' || n, '2026-02-12', 100 + n, 64800, 61200, 3600, 0, 0
from generate_series(1, 60) as n
"""


def test_servers_are_down_also_where_their_incidents_are_not_listed(published: Published) -> None:
    figures = figures_of(published(FALLEN))
    health = figures.health
    assert health is not None
    assert len(health.incidents) == INCIDENTS_SHOWN < health.incidents_open == 61
    assert len(health.in_state("down")) == 61
    [up] = [one for one in answers(figures) if one.question == "Up"]
    assert up.answer == "61 servers are down"


def test_a_list_full_of_open_incidents_begins_after_those_that_it_leaves_out(
    published: Published,
) -> None:
    later = """
        insert into analytics.fct_incidents (
            incident_key, opened_date, mcp_server_id, opened_at, closed_at, down_seconds, checks
        )
        values ('later', '2026-02-13', 1, '2026-02-13 09:00+00', '2026-02-13 10:00+00', 3600, 12)
    """
    health = figures_of(published(f"{FALLEN}; {later}")).health
    assert health is not None
    assert "2026-02-13" not in {str(one.opened_date) for one in health.incidents}
    assert str(health.incidents_since) == "2026-02-13"


HOURS = """
truncate analytics.fct_hourly_health;
insert into analytics.fct_hourly_health (
    hourly_health_key, mcp_server_id, hour_at, up_seconds, down_seconds, unknown_seconds,
    disabled_seconds, checks, p95_response_ms
)
select
    server || '-' || hour, server, timestamptz '2026-02-12 12:00+00' - hour * interval '1 hour',
    case when server = 9 and hour = 3 then 0 when server = 1 and hour = 5 then 1800 else 3600 end,
    case when server = 9 and hour = 3 then 3600 else 0 end,
    case when server = 1 and hour = 5 then 1800 else 0 end, 0, 12, 40.5
from generate_series(0, 60) as hour
cross join unnest(array[1, 9]) as server
"""


def test_the_last_hours_show_when_it_was_down_or_unknown(published: Published) -> None:
    figures = figures_of(published(HOURS))
    hours = figures.hours
    assert len(hours.drawn) == 2 * 48
    assert (hours.drawn[0].server_id, hours.drawn[0].server) == (9, "server 9")
    assert [
        (h.server, h.hour_at.hour, h.down_seconds, h.unknown_seconds) for h in hours.not_up
    ] == [
        ("server 9", 9, 3600, 0),
        (hours.drawn[-1].server, 7, 0, 1800),
    ]
    page = render(figures)
    assert 'id="hours"' in page
    assert "Each of the last hours, in UTC" in page
    assert "hatch" in page


def test_the_gates_history_has_what_did_not_always_pass(published: Published) -> None:
    again = """
    insert into ledger.gate_results (
        run_id, suite, expectation, column_name, severity, passed, judged_at
    )
    select
        '00000000-0000-0000-0000-0000000000aa', suite, expectation, column_name, severity, true,
        max(judged_at) over () + interval '1 hour'
    from ledger.gate_results
    where run_id = (select run_id from ledger.gate_results order by judged_at desc limit 1)
    """
    dsn = published(again)
    rows = figures_of(dsn).history.rows
    assert rows
    # The run before them judged another, which nobody has judged since.
    judged_since = [row for row in rows if row.expectation != "an earlier judgement"]
    assert {r.verdicts for r in judged_since} == {
        "unjudged failed passed",
        "unjudged warning passed",
    }
    [earlier] = [row for row in rows if row not in judged_since]
    assert earlier.verdicts == "failed unjudged unjudged"
    assert earlier.first_judged_at == earlier.last_judged_at < judged_since[0].first_judged_at
    assert all(row.count("failed") + row.count("warning") for row in rows)
    [(never_passed,)] = ask(
        dsn,
        "select count(distinct (suite, expectation, column_name)) from ledger.gate_results"
        " where not passed",
    )
    assert len(rows) == never_passed


def test_addresses_are_shown_only_when_told_and_no_csv_cell_is_a_formula(
    published: Published,
) -> None:
    dsn = published("update analytics.dim_users set display_name = email where user_id = 3")
    assert "example.org" not in render(figures_of(dsn))
    with connect(dsn) as connection:
        figures = collect(connection, show_emails=True)
    assert figures.usage is not None
    assert "grace@example.org" in csv_of(figures.usage.by_user)
    assert figures.health is not None
    assert "'=cmd|timed out" in csv_of(figures.health.incidents)


@pytest.mark.parametrize(
    ("user", "told", "shown"),
    [
        (1, "Ada Lovelace", "Ada Lovelace (ada@example.org)"),
        (99, "user 99", "user 99"),
    ],
)
def test_an_alert_of_a_user_shows_no_address_that_is_not_to_be_shown(
    published: Published, user: int, told: str, shown: str
) -> None:
    dsn = published(
        "insert into ledger.alerts (kind, subject, sentence) values ('quota',"
        f" '{user} 2026-02-12', 'who has used it@example.org has used $2.00 of $1.00')"
    )
    page = render(figures_of(dsn))
    assert "example.org" not in page
    assert f"{told} has used $2.00 of $1.00" in page
    with connect(dsn) as connection:
        assert f"{shown} has used $2.00 of $1.00" in render(collect(connection, show_emails=True))


DEFINED = """
do $$
declare
    one record;
begin
    for one in
        select attrelid::regclass as mart, attname
        from pg_catalog.pg_attribute
        inner join pg_catalog.pg_class on pg_class.oid = attrelid
        where relnamespace = 'analytics'::regnamespace and relkind = 'r' and attnum > 0
    loop
        execute format('comment on column %s.%I is %L', one.mart, one.attname, 'What it means.');
    end loop;
end
$$
"""

OF_NO_MART = (
    "Rows in equal copied plus matched plus quarantined",
    "Sums on both sides of the merge",
    "Rows in quarantine by reason",
)


class Heads(HTMLParser):
    """The heads of number columns and the names of tiles, each with whether it is defined."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.section = self.part = self.text = ""
        self.is_head = self.is_defined = False
        self.found: list[tuple[str, str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "section":
            self.section = of.get("id", "")
        if tag in ("article", "div", "dl"):
            self.part = of.get("aria-label", "" if tag == "article" else self.part)
        if tag == "dt" or (tag == "th" and of == {"scope": "col", "class": "num"}):
            self.is_head, self.is_defined, self.text = True, False, ""
        self.is_defined |= of.get("data-means") == "What it means."

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("dt", "th") and self.is_head:
            self.is_head = False
            if self.section not in ("runs", "definitions") and self.part not in OF_NO_MART:
                self.found.append((self.part, self.text, self.is_defined))


def test_every_figure_of_a_mart_says_what_it_means(published: Published) -> None:
    found = Heads(render(figures_of(published(DEFINED)))).found
    assert len(found) > 90
    assert [(part, name) for part, name, is_defined in found if not is_defined] == []
