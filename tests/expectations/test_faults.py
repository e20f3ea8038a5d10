"""Every fault in every mart: the gate stops it, names its row, and readers keep what they had."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from expectations import gate
from omniledger.database import Dsn, connect
from omniledger.errors import GateRefused
from omniledger.marts import MARTS
from omniledger.publish import publish
from omniledger.runs import Began
from tests.conftest import Server, ask
from tests.expectations.conftest import Judge, said
from tests.expectations.marts import built_marts, spoil


class Fault(NamedTuple):
    """What is done to a built mart, and the rule and the row by which the gate must tell it.

    Each fault of a mart has a day, or a row, of its own: so each is told by itself, although all
    are judged at once.
    """

    mart: str
    kind: str
    change: str
    suite: str
    rule: str
    row: dict[str, Any]


def twice(key: str, new: str, where: str, **other: str) -> str:
    """A row that is there a second time, under another key."""
    changed = {key: new, **other}
    return (
        f"create temp table twice on commit drop as select * from {{mart}} where {where} limit 1;"
        f"update twice set {', '.join(f'{name} = {value}' for name, value in changed.items())};"
        "insert into {mart} select * from twice; drop table twice"
    )


USAGE, QUOTA, TOOLS = "fct_daily_usage", "fct_daily_quota", "fct_daily_tool_usage"
MCP_COST = "fct_daily_mcp_cost"
HEALTH, HOURS, INCIDENTS = "fct_daily_health", "fct_hourly_health", "fct_incidents"
FOCUS, BILL = "fct_focus", "fct_bill_reconciliation"
USERS, SERVERS = "dim_users", "dim_mcp_servers"

D1, D2, D3, D4, D5 = (f"2026-03-0{day}" for day in range(1, 6))
MISSING = "No figure is missing"
STALE = "No day is older than a change of it from before the run"

FAULTS = (
    Fault(
        USAGE,
        "wrong sum",
        f"update {{mart}} set tokens_output = tokens_output + 1 where usage_key = ("
        f"select min(usage_key) from {{mart}} where usage_date = '{D1}' and requests > 0)",
        "daily_usage",
        "Each day's sums equal the control totals, to the last digit",
        {"usage_date": D1, "figure": "tokens_output"},
    ),
    Fault(
        USAGE,
        "wrong count",
        f"update {{mart}} set requests_model_assumed = 1 where usage_date = '{D1}' and user_id = 2",
        "daily_usage",
        "Each day, user, model and source has the figures that the ledger has",
        {"usage_date": D1, "user_id": 2, "figure": "requests_model_assumed", "in_ledger": "0"},
    ),
    Fault(
        USAGE,
        "doubled row",
        twice("usage_key", "'twice'", f"usage_date = '{D2}' and user_id = 1"),
        "daily_usage",
        "Each day, user, model and source has one row",
        {"usage_date": D2, "user_id": 1},
    ),
    Fault(
        USAGE,
        "missing day",
        f"delete from {{mart}} where usage_date = '{D3}'",
        "daily_usage",
        "Figures and control totals have the same days",
        {"usage_date": D3, "missing_in": "figures"},
    ),
    Fault(
        USAGE,
        "negative",
        f"update {{mart}} set tokens_cached = -5 where usage_date = '{D4}' and user_id = 2",
        "daily_usage",
        "No token figure is below zero",
        {"usage_date": D4, "user_id": 2, "value": -5},
    ),
    Fault(
        USAGE,
        "NULL",
        f"update {{mart}} set blocked = null where usage_date = '{D5}' and user_id = 1",
        "daily_usage",
        MISSING,
        {"usage_date": D5, "user_id": 1, "missing": "blocked"},
    ),
    Fault(
        QUOTA,
        "wrong sum",
        "update {mart} set cost_recorded_usd = cost_recorded_usd + 1, cost_used_usd = cost_used_usd"
        f" + 1 where usage_date = '{D1}' and user_id = 1",
        "daily_quota",
        "The use of each day and user is what the ledger holds",
        {"usage_date": D1, "user_id": 1},
    ),
    Fault(
        QUOTA,
        "doubled row",
        twice("quota_key", "'twice'", f"usage_date = '{D2}' and user_id = 2"),
        "daily_quota",
        "Each day and user has one row",
        {"usage_date": D2, "user_id": 2, "rows": 2},
    ),
    Fault(
        QUOTA,
        "missing day",
        f"delete from {{mart}} where usage_date = '{D3}'",
        "daily_quota",
        "The use of each day and user is what the ledger holds",
        {"usage_date": D3, "user_id": 1, "cost": None},
    ),
    Fault(
        QUOTA,
        "negative",
        f"update {{mart}} set tokens_unpriced = -1 where usage_date = '{D4}' and user_id = 1",
        "daily_quota",
        "Each figure is a number from zero up",
        {"usage_date": D4, "user_id": 1, "figure": "tokens_unpriced", "value": "-1"},
    ),
    Fault(
        QUOTA,
        "another reason",
        f"update {{mart}} set limit_basis = 'role' where usage_date = '{D5}' and user_id = 1",
        "daily_quota",
        "Each limit is the one that was in force at the day's end",
        {"usage_date": D5, "user_id": 1, "limit_basis": "role", "basis_in_force": "default"},
    ),
    Fault(
        QUOTA,
        "NULL",
        f"update {{mart}} set rows_counted = null where usage_date = '{D5}' and user_id = 2",
        "daily_quota",
        MISSING,
        {"usage_date": D5, "user_id": 2, "missing": "rows_counted"},
    ),
    Fault(
        TOOLS,
        "wrong sum",
        f"update {{mart}} set calls = calls + 1 where usage_date = '{D1}' and mcp_server = 'files'",
        "daily_tool_usage",
        "Each day has the tool calls that the ledger has",
        {"usage_date": D1},
    ),
    Fault(
        TOOLS,
        "doubled row",
        twice("tool_usage_key", "'twice'", f"usage_date = '{D2}' and mcp_server = 'files'"),
        "daily_tool_usage",
        "Each day, server and tool has one row",
        {"usage_date": D2, "mcp_server": "files", "rows": 2},
    ),
    Fault(
        TOOLS,
        "missing day",
        f"delete from {{mart}} where usage_date = '{D3}'",
        "daily_tool_usage",
        "Each day has the tool calls that the ledger has",
        {"usage_date": D3, "calls": None},
    ),
    Fault(
        TOOLS,
        "negative",
        f"update {{mart}} set blocked = -1 where usage_date = '{D4}' and mcp_server = 'files'",
        "daily_tool_usage",
        "blocked is at least 0",
        {"usage_date": D4, "mcp_server": "files", "blocked": -1},
    ),
    Fault(
        TOOLS,
        "NULL",
        f"update {{mart}} set users = null where usage_date = '{D5}' and mcp_server = 'files'",
        "daily_tool_usage",
        MISSING,
        {"usage_date": D5, "mcp_server": "files", "missing": "users"},
    ),
    Fault(
        MCP_COST,
        "wrong sum",
        f"update {{mart}} set cost_usd = cost_usd + 0.000000000001"
        f" where usage_date = '{D1}' and mcp_server = 'files'",
        "daily_mcp_cost",
        "Each day's and model's sums equal the daily usage's, to the last digit",
        {"usage_date": D1, "figure": "cost_usd"},
    ),
    Fault(
        MCP_COST,
        "doubled row",
        twice(
            "mcp_cost_key",
            "'twice'",
            f"usage_date = '{D2}' and mcp_server = 'search'",
            **dict.fromkeys(
                ("tokens_total", "cost_recorded_usd", "cost_recomputed_usd", "cost_usd"), "0"
            ),
        ),
        "daily_mcp_cost",
        "Each day, server and model has one row",
        {"usage_date": D2, "mcp_server": "search", "rows": 2},
    ),
    Fault(
        MCP_COST,
        "missing day",
        f"delete from {{mart}} where usage_date = '{D4}'",
        "daily_mcp_cost",
        "Each day's and model's sums equal the daily usage's, to the last digit",
        {"usage_date": D4, "figure": "cost_usd", "in_all_servers": "0"},
    ),
    Fault(
        MCP_COST,
        "negative",
        f"update {{mart}} set calls = -1 where usage_date = '{D2}' and mcp_server = 'files'",
        "daily_mcp_cost",
        "Each figure is a number from zero up",
        {"usage_date": D2, "mcp_server": "files", "figure": "calls", "value": "-1"},
    ),
    Fault(
        MCP_COST,
        "NULL",
        f"update {{mart}} set calls = null where usage_date = '{D5}' and mcp_server = 'files'",
        "daily_mcp_cost",
        "calls is never missing",
        {"usage_date": D5, "mcp_server": "files"},
    ),
    Fault(
        HEALTH,
        "wrong sum",
        f"update {{mart}} set up_seconds = up_seconds + 1"
        f" where health_date = '{D1}' and mcp_server_id = 1",
        "daily_health",
        "Up, down, unknown and disabled make up the day",
        {"health_date": D1, "mcp_server_id": 1},
    ),
    Fault(
        HEALTH,
        "doubled row",
        twice("health_key", "'twice'", f"health_date = '{D2}' and mcp_server_id = 1"),
        "daily_health",
        "Each day and server has one row",
        {"health_date": D2, "mcp_server_id": 1, "rows": 2},
    ),
    Fault(
        HEALTH,
        "missing day",
        f"delete from {{mart}} where health_date = '{D3}' and mcp_server_id = 1",
        "daily_health",
        "No day is missing between a server's first and last",
        {"mcp_server_id": 1, "first_missing": D3, "last_missing": D3},
    ),
    Fault(
        HEALTH,
        "missing last day",
        f"delete from {{mart}} where health_date = '{D5}' and mcp_server_id = 2",
        "daily_health",
        "Neither the day of a server's first event nor that of its last is missing",
        {"mcp_server_id": 2, "health_date": D5},
    ),
    Fault(
        HEALTH,
        "negative",
        f"update {{mart}} set checks = -1 where health_date = '{D4}' and mcp_server_id = 1",
        "daily_health",
        "No figure is below zero",
        {"health_date": D4, "mcp_server_id": 1, "figure": "checks"},
    ),
    Fault(
        HEALTH,
        "NULL",
        f"update {{mart}} set outages = null where health_date = '{D5}' and mcp_server_id = 1",
        "daily_health",
        MISSING,
        {"health_date": D5, "mcp_server_id": 1, "missing": "outages"},
    ),
    Fault(
        HOURS,
        "wrong sum",
        "update {mart} set up_seconds = up_seconds - 60, down_seconds = down_seconds + 60"
        f" where hour_at = '{D1} 12:00+00' and mcp_server_id = 2",
        "hourly_health",
        "Hours make up the day",
        {"health_date": D1, "mcp_server_id": 2},
    ),
    Fault(
        HOURS,
        "doubled row",
        twice("hourly_health_key", "'twice'", f"hour_at = '{D2} 12:00+00' and mcp_server_id = 2"),
        "hourly_health",
        "Hours make up the day",
        {"health_date": D2, "mcp_server_id": 2, "hours": 25},
    ),
    Fault(
        HOURS,
        "missing day",
        f"delete from {{mart}} where health_date = '{D3}' and mcp_server_id = 2",
        "hourly_health",
        "Hours make up the day",
        {"health_date": D3, "mcp_server_id": 2, "hours": None},
    ),
    Fault(
        HOURS,
        "other hours",
        "update {mart} set up_seconds = down_seconds, down_seconds = up_seconds"
        f" where mcp_server_id = 1 and hour_at in ('{D1} 01:00+00', '{D1} 12:00+00')",
        "hourly_health",
        "Hours make up the day",
        {"health_date": D1, "mcp_server_id": 1, "down_in_the_same_hours": False},
    ),
    Fault(
        HOURS,
        "negative",
        "update {mart} set up_seconds = -1, down_seconds = 3601"
        f" where hour_at = '{D4} 12:00+00' and mcp_server_id = 2",
        "hourly_health",
        "Up, down, unknown and disabled make up the hour",
        {"hour_at": f"{D4}T12:00:00+00:00", "mcp_server_id": 2, "up_seconds": -1},
    ),
    Fault(
        HOURS,
        "NULL",
        "update {mart} set unknown_seconds = null"
        f" where hour_at = '{D5} 12:00+00' and mcp_server_id = 2",
        "hourly_health",
        MISSING,
        {"health_date": D5, "mcp_server_id": 2, "missing": "unknown_seconds"},
    ),
    Fault(
        INCIDENTS,
        "wrong sum",
        f"update {{mart}} set down_seconds = 7201 where opened_date = '{D1}' and mcp_server_id = 2",
        "incidents",
        "An incident ends after it begins",
        {"mcp_server_id": 2, "down_seconds": 7201},
    ),
    Fault(
        INCIDENTS,
        "doubled row",
        twice("incident_key", "'twice'", f"opened_date = '{D2}' and mcp_server_id = 2"),
        "incidents",
        "A server has one incident at a time",
        {"mcp_server_id": 2, "opened_at": f"{D2}T00:00:00+00:00"},
    ),
    Fault(
        INCIDENTS,
        "missing day",
        f"delete from {{mart}} where opened_date = '{D3}' and mcp_server_id = 1",
        "incidents",
        "Incidents are the outages of the days",
        {"mcp_server_id": 1, "incidents": 4},
    ),
    Fault(
        INCIDENTS,
        "negative",
        f"update {{mart}} set down_seconds = -1 where opened_date = '{D4}' and mcp_server_id = 2",
        "incidents",
        "An incident ends after it begins",
        {"mcp_server_id": 2, "down_seconds": -1},
    ),
    Fault(
        INCIDENTS,
        "NULL",
        f"update {{mart}} set opened_at = null where opened_date = '{D5}' and mcp_server_id = 2",
        "incidents",
        MISSING,
        {"opened_date": D5, "mcp_server_id": 2, "missing": "opened_at"},
    ),
    Fault(
        FOCUS,
        "wrong sum",
        f"update {{mart}} set effective_cost = effective_cost + 1 where focus_key = ("
        f"select min(focus_key) from {{mart}} where usage_date = '{D5}')",
        "bill_focus",
        "Each cost is a number from zero up, and price times quantity",
        {"usage_date": D5},
    ),
    Fault(
        FOCUS,
        "doubled row",
        twice("focus_key", "'twice'", f"usage_date = '{D2}'"),
        "bill_focus",
        "Each day's cost and tokens are what the daily usage says",
        {"usage_date": D2},
    ),
    Fault(
        FOCUS,
        "missing day",
        f"delete from {{mart}} where usage_date = '{D1}'",
        "bill_focus",
        "Each day's cost and tokens are what the daily usage says",
        {"usage_date": D1, "computed": None},
    ),
    Fault(
        FOCUS,
        "negative",
        "update {mart} set list_cost = -list_cost, billed_cost = -list_cost,"
        " effective_cost = -list_cost, contracted_cost = -list_cost,"
        f" pricing_quantity = -pricing_quantity where usage_date = '{D4}'",
        "bill_focus",
        "Each cost is a number from zero up, and price times quantity",
        {"usage_date": D4},
    ),
    Fault(
        FOCUS,
        "NULL",
        "update {mart} set list_cost = null where focus_key = ("
        f"select max(focus_key) from {{mart}} where usage_date = '{D5}')",
        "bill_focus",
        MISSING,
        {"usage_date": D5, "missing": "list_cost"},
    ),
    Fault(
        BILL,
        "wrong sum",
        "update {mart} set cause_tier_usd = 0.000001"
        " where llm_model = 'sonnet' and token_kind = 'input'",
        "bill_reconciliation",
        "The causes add up to the difference, to the last digit",
        {"bill_date": D1, "llm_model": "sonnet", "token_kind": "input"},
    ),
    Fault(
        BILL,
        "doubled row",
        twice("reconciliation_key", "'twice'", "llm_model = 'haiku' and token_kind = 'output'"),
        "bill_reconciliation",
        "Each day, model and kind has one row",
        {"bill_date": D1, "llm_model": "haiku", "token_kind": "output", "rows": 2},
    ),
    Fault(
        BILL,
        "missing day",
        "insert into ledger.provider_buckets values"
        f" ('cost', '{D2} 00:00+00', '{D3} 00:00+00', 2, '{D4} 00:00+00')",
        "bill_reconciliation",
        "Each billed day costs in the ledger what fct_focus says",
        {"bill_date": D2, "ledger_usd": None},
    ),
    Fault(
        BILL,
        "negative",
        "update {mart} set billed_tokens = -1 where llm_model = 'haiku' and token_kind = 'input'",
        "bill_reconciliation",
        "No count of tokens is below zero",
        {"bill_date": D1, "llm_model": "haiku", "token_kind": "input", "billed_tokens": "-1"},
    ),
    Fault(
        BILL,
        "NULL",
        "update {mart} set ledger_usd = null where llm_model = 'sonnet' and token_kind = 'output'",
        "bill_reconciliation",
        MISSING,
        {"bill_date": D1, "llm_model": "sonnet", "missing": "ledger_usd"},
    ),
    Fault(
        USERS,
        "doubled row",
        "alter table {mart} drop constraint dim_users_pkey;"
        "alter table {mart} alter user_id drop not null;"
        "insert into {mart} select * from {mart} where user_id = 1",
        "dim_users",
        "user_id is there once only",
        {"user_id": 1, "rows": 2},
    ),
    Fault(
        USERS,
        "missing row",
        "delete from {mart} where user_id = 2",
        "dim_users",
        "No user whom the gateway still has is gone",
        {"user_id": 2, "display_name": "Bob"},
    ),
    Fault(
        USERS,
        "NULL",
        "insert into {mart} (user_id, email) values (null, 'nobody@example.org')",
        "dim_users",
        "user_id is never missing",
        {"user_id": None},
    ),
    Fault(
        SERVERS,
        "missing row",
        "delete from {mart} where mcp_server_id = 1",
        "dim_mcp_servers",
        "No server of the health log is missing",
        {"mcp_server_id": 1},
    ),
    Fault(
        SERVERS,
        "negative",
        "update {mart} set check_interval_seconds = -60 where mcp_server_id = 2",
        "dim_mcp_servers",
        "check_interval_seconds is at least 1",
        {"mcp_server_id": 2, "check_interval_seconds": -60},
    ),
)

# Figures that the key figures of a mart don't show; each is changed alone.
_ASIDE = (
    ("daily_usage", USAGE, "errors = errors + 1", "control totals"),
    ("daily_usage", USAGE, "blocked = blocked + 1", "control totals"),
    ("daily_usage", USAGE, "tool_calls = tool_calls + 1", "control totals"),
    ("daily_usage", USAGE, "tool_calls_reported = 9", "the figures that the ledger has"),
    ("daily_usage", USAGE, "cost_difference_usd = 5", "The parts of the cost add up"),
    ("daily_tool_usage", TOOLS, "users = users + 1", "tool has the figures that the ledger has"),
    ("daily_tool_usage", TOOLS, "p95_duration_ms = 9999", "tool has the figures that the ledger"),
    ("daily_tool_usage", TOOLS, "errors = errors + 1", "the tool calls that the ledger has"),
    ("daily_tool_usage", TOOLS, "blocked = blocked + 1", "the tool calls that the ledger has"),
    ("daily_quota", QUOTA, "used_share = used_share + 0.5", "overspend agree"),
    ("daily_quota", QUOTA, "cost_limit_usd = cost_limit_usd * 2", "overspend agree"),
    ("daily_quota", QUOTA, "rows_counted = rows_counted + 1", "what the ledger holds"),
    ("daily_health", HEALTH, "mttr_seconds = 5", "Outages agree"),
    ("daily_health", HEALTH, "state_at_start = 'up'", "A day begins in a state that it has"),
    ("daily_health", HEALTH, "check_interval_seconds = 60", "Checks are expected as often"),
    ("daily_health", HEALTH, "checks_timeout = 99", "Kinds of checks make up"),
    ("daily_health", HEALTH, "p99_response_ms = 'NaN'", "percentiles are in order"),
    ("daily_health", HEALTH, "coverage_share = null", "Shares agree"),
    ("hourly_health", HOURS, "hour_at = hour_at + interval '1 hour'", "Hours follow one another"),
    ("hourly_health", HOURS, "p50_response_ms = -5", "Checks and response times"),
    ("hourly_health", HOURS, "checks = checks + 1", "Hours make up the day"),
    ("hourly_health", HOURS, "checks_down = checks + 1", "Checks and response"),
    ("hourly_health", HOURS, "checks_down = checks_down - 1", "Hours make up the day"),
    ("incidents", INCIDENTS, "checks = checks + 1", "Incidents are the outages"),
    ("incidents", INCIDENTS, "opened_at = opened_at - interval '1 hour'", "are the outages"),
    ("incidents", INCIDENTS, "ended_as = 'odd'", "An incident ends after it begins"),
    ("dim_mcp_servers", SERVERS, "checks_verdict = 'never checked'", "verdict agrees with"),
    ("bill_focus", FOCUS, "x_model = 'other'", "what the daily usage says"),
    ("bill_focus", FOCUS, "contracted_unit_price = null", "price times quantity"),
    ("bill_focus", FOCUS, "x_utc_date = x_utc_date - 1", "Each charge lies in its day"),
    ("bill_focus", FOCUS, "x_user_id = 999", "what the daily usage says"),
    ("bill_focus", FOCUS, "x_ledger_cost = x_ledger_cost + 1", "what the daily usage says"),
    ("bill_focus", FOCUS, "billing_currency = 'EUR'", "price times quantity"),
    ("bill_focus", FOCUS, "x_tokens = x_tokens + 9", "price times quantity"),
    ("bill_focus", FOCUS, "pricing_currency_effective_cost = 9", "price times quantity"),
    ("bill_focus", FOCUS, "llm_model = 'other'", "price times quantity"),
)


def test_each_figure_is_held_to_another(server: Server, judge: Judge) -> None:
    dsn = built_marts(server)
    days = {HEALTH: "health_date", HOURS: "health_date", INCIDENTS: "opened_date"}
    for _, mart, change, _ in _ASIDE:
        of_day = "true" if mart == SERVERS else f"{days.get(mart, 'usage_date')} = '{D2}'"
        row = f"select ctid from analytics_build.{mart} where {of_day} order by 1 limit 1"
        spoil(dsn, f"update analytics_build.{mart} set {change} where ctid = ({row})")
    verdict = judge(dsn)
    for suite, _, change, expectation in _ASIDE:
        assert any(expectation in sentence for sentence in said(verdict, suite)), change


MOVE = "case mcp_server when 'files' then 0.000001 else -0.000001 end"

# What leaves every total of a day as it was, or no day to compare.
MOVED = (
    f"update analytics_build.{USAGE} set tokens_input = tokens_input"
    " + case user_id when 1 then 5 else -5 end"
    f" where usage_date = '{D1}' and source_system = 'legacy'",
    f"update analytics_build.{TOOLS} set tool = 'write'"
    f" where usage_date = '{D2}' and mcp_server = 'files'",
    f"update analytics_build.{MCP_COST} set cost_usd = cost_usd + {MOVE},"
    f" cost_recorded_usd = cost_recorded_usd + {MOVE}"
    f" where usage_date = '{D4}' and llm_model = 'sonnet' and not is_no_server",
    f"update analytics_build.{MCP_COST} set cost_usd = cost_usd + {MOVE}"
    f" where usage_date = '{D2}' and llm_model = 'sonnet' and not is_no_server",
    f"update analytics_build.{FOCUS} set charge_category = 'Adjustment', x_tokens = x_tokens"
    " + case x_token_kind when 'input' then -5 else 5 end, pricing_quantity = null,"
    " consumed_quantity = null, list_unit_price = null, contracted_unit_price = null,"
    " pricing_currency_list_unit_price = null, pricing_currency_contracted_unit_price = null"
    f" where usage_date = '{D1}' and x_user_id = 1",
    f"update analytics_build.{FOCUS} set x_cost_basis = 'recorded' where usage_date = '{D4}'",
    f"update analytics_build.{FOCUS} set charge_category = 'Adjustment', x_tokens = x_tokens - 5,"
    " pricing_quantity = null, consumed_quantity = null, list_unit_price = null,"
    " contracted_unit_price = null, pricing_currency_list_unit_price = null,"
    " pricing_currency_contracted_unit_price = null"
    f" where usage_date = '{D2}' and x_user_id = 2 and x_token_kind = 'output'",
    f"update analytics_build.{QUOTA} set cost_limit_usd = 20, used_share = cost_used_usd / 20"
    f" where usage_date = '{D1}' and user_id = 1",
    f"update analytics_build.{QUOTA} set tokens_unpriced = 9"
    f" where usage_date = '{D2}' and user_id = 1",
    f"update analytics_build.{QUOTA} set cost_unpriced_usd = 1, cost_used_usd = cost_used_usd + 1,"
    f" used_share = used_share + 0.1 where usage_date = '{D4}' and user_id = 1",
    f"delete from analytics_build.{USERS} where user_id = 2",
    f"delete from analytics.{USERS} where user_id = 2",
    f"delete from analytics_build.{HOURS}",
    f"update analytics_build.{INCIDENTS} set closed_at = null, ended_as = null"
    f" where opened_date = '{D5}' and mcp_server_id = 2",
    *(
        f"delete from {mart} where usage_date = '{D3}'"
        for mart in (
            *(f"analytics_build.{mart}" for mart in (USAGE, QUOTA, TOOLS, MCP_COST, FOCUS)),
            *(f"analytics.{mart}" for mart in (USAGE, QUOTA, TOOLS, MCP_COST, FOCUS)),
            "analytics_build.control_totals",
        )
    ),
)
TOLD: dict[tuple[str, str], dict[str, Any]] = {
    ("daily_usage", "Each day, user, model and source has the figures that the ledger has"): {
        "usage_date": D1,
        "user_id": 1,
        "figure": "tokens_input",
    },
    ("daily_usage", "No day of the ledger is missing"): {"usage_date": D3},
    ("daily_tool_usage", "Each day, server and tool has the figures that the ledger has"): {
        "usage_date": D2,
        "mcp_server": "files",
        "tool": "read",
        "figure": "calls",
        "in_figures": None,
    },
    ("daily_mcp_cost", "Each day, server and model has its share of what the ledger has"): {
        "usage_date": D4,
        "mcp_server": "files",
        "figure": "cost_recorded_usd",
    },
    ("daily_mcp_cost", "Requests, calls and what is known of the cost agree"): {
        "usage_date": D2,
        "mcp_server": "search",
    },
    ("bill_focus", "Each day's cost and tokens are what the daily usage says"): {
        "usage_date": D1,
        "x_user_id": 1,
    },
    ("bill_focus", "Each cost is a number from zero up, and price times quantity"): {
        "usage_date": D4
    },
    ("daily_quota", "Each limit is the one that was in force at the day's end"): {
        "usage_date": D1,
        "user_id": 1,
        "limit_in_force": "10",
    },
    ("daily_quota", "The use of each day and user is what the ledger holds"): {
        "usage_date": D2,
        "tokens_unpriced": 9,
        "unpriced_in_ledger": "0",
    },
    ("daily_quota", "Use, limit, crossing and overspend agree, to the last digit"): {
        "usage_date": D4
    },
    ("dim_users", "No user with a request from before the run is missing"): {"user_id": 2},
    ("hourly_health", "Hours make up the day"): {"health_date": D2, "hours": None},
    ("incidents", "Incidents are the outages of the days"): {"mcp_server_id": 2, "is_open": True},
}

# Rows that were written before the run began, and figures that go on without them.
LATER = (
    "insert into omni2.audit_logs (id, user_id, timestamp, tool_called, success, tokens_input)"
    f" values (900, 1, '{D5} 10:00+00', 'read', true, 1)",
    "insert into omni2.mcp_health_log (id, mcp_server_id, timestamp, status)"
    f" values (900, 1, '{D5} 17:30+00', 'timeout')",
    f"update analytics_build.{HEALTH} set down_seconds = down_seconds + 60"
    f" where health_date = '{D4}' and mcp_server_id = 2",
    f"update analytics_build.{FOCUS} set x_ledger_cost = x_ledger_cost + 1"
    f" where usage_date = '{D1}'",
)
LATE: dict[tuple[str, str], dict[str, Any]] = {
    ("daily_usage", STALE): {"usage_date": D5, "first_id": 900, "rows_changed": 1},
    ("daily_quota", STALE): {"usage_date": D5, "first_id": 900},
    ("daily_tool_usage", STALE): {"usage_date": D5, "first_id": 900},
    ("daily_mcp_cost", STALE): {"usage_date": D5, "first_id": 900},
    ("bill_focus", STALE): {"usage_date": D5, "first_id": 900},
    ("daily_health", STALE): {"health_date": D5, "first_id": 900},
    ("hourly_health", STALE): {"health_date": D5, "first_id": 900},
    ("incidents", "Incidents are the outages of the days"): {"mcp_server_id": 2},
    ("bill_reconciliation", "Each billed day costs in the ledger what fct_focus says"): {
        "bill_date": D1
    },
    ("dim_mcp_servers", "A server's last event is the last from before the run"): {
        "mcp_server_id": 1
    },
}


@pytest.fixture
def dsn(server: Server) -> Dsn:
    """Figures that were right yesterday, and published."""
    dsn = built_marts(server)
    spoil(
        dsn,
        "create schema auth_service",
        "create table auth_service.users (id integer primary key)",
        "insert into auth_service.users values (1), (2)",
    )
    run_id = uuid4()
    ask(
        dsn,
        "insert into ledger.gate_results (run_id, suite, expectation, severity, passed)"
        " values (%s, 'all', 'All is well', 'stop', true)",
        run_id,
    )
    with connect(dsn) as connection:
        publish(connection, run_id)
    # Today every day is built again.
    for mart in MARTS:
        spoil(
            dsn,
            f"update analytics_build.{mart.name} set built_xmin = built_xmin + 1, built_at = now()",
        )
    return dsn


def now(dsn: Dsn) -> Began:
    [(xmin, at)] = ask(dsn, "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now()")
    return Began(xmin, at)


def published(dsn: Dsn) -> dict[str, list[tuple[Any, ...]]]:
    return {m.name: ask(dsn, f"select m from analytics.{m.name} as m order by m") for m in MARTS}


def refused(dsn: Dsn, tmp_path: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The rows by which the gate stops a run whose figures, then, nobody publishes."""
    run_id: UUID = uuid4()
    before = published(dsn)
    verdict = gate.judge(dsn, run_id, tmp_path / "site", tmp_path / "home", now(dsn))
    assert not verdict.passed
    with connect(dsn) as connection, pytest.raises(GateRefused):
        publish(connection, run_id)
    assert published(dsn) == before
    rows = ask(
        dsn,
        "select suite, expectation, sample from ledger.gate_results"
        " where run_id = %s and severity = 'stop' and not passed order by column_name",
        run_id,
    )
    return {(suite, expectation): sample for suite, expectation, sample in rows}


def test_every_fault_of_every_mart_is_stopped_and_its_row_named(dsn: Dsn, tmp_path: Path) -> None:
    for fault in FAULTS:
        mart = f"analytics_build.{fault.mart}"
        spoil(dsn, *fault.change.format(mart=mart).split(";"))

    stopped = refused(dsn, tmp_path)

    for fault in FAULTS:
        rows = stopped.get((fault.suite, fault.rule), [])
        named = [row for row in rows if fault.row.items() <= row.items()]
        assert named, f"{fault.mart}, {fault.kind}: {json.dumps(rows)}"
    assert {fault.mart for fault in FAULTS} == {mart.name for mart in MARTS}


def test_what_is_wrong_in_no_total_is_stopped(dsn: Dsn, tmp_path: Path) -> None:
    spoil(dsn, *MOVED)

    stopped = refused(dsn, tmp_path)

    for told, row in TOLD.items():
        assert any(row.items() <= one.items() for one in stopped.get(told, [])), told


def test_figures_that_are_older_than_their_rows_are_stopped(dsn: Dsn, tmp_path: Path) -> None:
    run_id = uuid4()
    assert gate.judge(dsn, run_id, tmp_path / "site", tmp_path / "home", now(dsn)).passed
    began = now(dsn)
    spoil(dsn, *LATER[:2])
    # What is written while a run is under way is for the next one.
    assert gate.judge(dsn, run_id, tmp_path / "site", tmp_path / "home", began).passed
    spoil(dsn, *LATER[2:])

    stopped = refused(dsn, tmp_path)

    for told, row in LATE.items():
        assert any(row.items() <= one.items() for one in stopped.get(told, [])), told
