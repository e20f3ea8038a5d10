"""What to do when an expectation fails, in words; cheap to import, as the suites are not.

What stops a run is mostly a build that is wrong: of rows that somebody changed by hand, of a model
that was changed, or of a build that was cut off. The next run builds every day anew. A warning is
mostly about what was written into the ledger.
"""

from __future__ import annotations

_ANEW = (
    "Find out who or what changed analytics_build.{mart} since it was built (a hand, a trigger, a "
    "changed model), undo that, and run `omniledger run`: after a refusal it builds every day anew."
)

_OF_SUITE = {
    "daily_usage": _ANEW.format(mart="fct_daily_usage"),
    "daily_quota": _ANEW.format(mart="fct_daily_quota"),
    "daily_tool_usage": _ANEW.format(mart="fct_daily_tool_usage"),
    "daily_mcp_cost": _ANEW.format(mart="fct_daily_mcp_cost"),
    "daily_health": _ANEW.format(mart="fct_daily_health"),
    "hourly_health": _ANEW.format(mart="fct_hourly_health"),
    "incidents": _ANEW.format(mart="fct_incidents"),
    "bill_focus": _ANEW.format(mart="fct_focus"),
    "bill_reconciliation": _ANEW.format(mart="fct_bill_reconciliation"),
    "dim_users": _ANEW.format(mart="dim_users"),
    "dim_mcp_servers": _ANEW.format(mart="dim_mcp_servers"),
    "audit_logs": (
        "Look at those rows of omni2.audit_logs and mend what their writer writes; until then they "
        "are kept, counted and left out of the sums that they would spoil."
    ),
    "audit_quarantine": (
        "Mend the value in the column `row` of ledger.audit_quarantine, then run `omniledger merge "
        "retry-quarantine`."
    ),
    "anomalies": (
        "Look whether something happened on that day (an outage, a new client, a writer that "
        "stopped); where it is the new usual, the warning ends by itself in a few weeks, and "
        "ledger.settings can hold other bounds."
    ),
    "pruned_days": (
        "Those rows came after the raw rows of their day were removed: they are kept, and in no "
        "figure. Find out what writes so late; where they matter, say so beside the figures."
    ),
    "mcp_health_log": (
        "Mend the clock or the writer of those events in omni2.mcp_health_log; until then no "
        "figure is made of them."
    ),
}

_FUTURE = "Mend the clock that wrote those rows, or their time; then run `omniledger run`."
_SERVERS = "Look at these servers in omni2.mcp_servers, and at what checks them."
_USERS = (
    "The owner of the gateway's tables sees with `omniledger users list --unmapped` who is not "
    "known yet, and says with `omniledger users map` who it is."
)
_CHECKS = "Mend what writes these events, or the server that answers so."

_OF_RULE = {
    "No day lies in the future": _FUTURE,
    "The cost of every request is known": (
        "Give the models that are named a price with `omniledger prices set`; requests that state "
        "no tokens stay unknown."
    ),
    "The model of every request is known": (
        "State which model ran when, with `omniledger models set`; until then the default is "
        "assumed."
    ),
    "No request has an impossible figure": (
        "The suite audit_logs names those rows; mend what their writer writes."
    ),
    "The user of every request is known": _USERS,
    "Every user of the old log is known to the gateway": _USERS,
    "Nobody spent more than the limit": (
        "Talk to these users, or raise their limit in auth_service; the figures are right."
    ),
    "The cost of all tokens that count is recorded": (
        "Let the gateway write the split of its tokens, and give models without a price one with "
        "`omniledger prices set`: what is written after that has a cost."
    ),
    "Every status word of the health log is known": _CHECKS,
    "Every response time can be": _CHECKS,
    "Every server has a name": _SERVERS,
    "No two servers have one name": _SERVERS,
    "Every server is checked": _SERVERS,
    "email is never missing": "Give these users an address in auth_service.users, or let it be.",
    "cost_limit_daily_usd is at least 0": "Correct the limit of these users' role in auth_service.",
    "What the provider counted is known in dollars": (
        "Import the provider's cost report too, with `omniledger bill import`, or set a price."
    ),
}

_BILL = (
    "The report's section on the bill says by which cause the two differ; `omniledger bill import` "
    "takes in a bill that has settled since."
)


def advice(suite: str, expectation: str) -> str:
    """What to do about an expectation that failed."""
    if expectation.startswith("The bill of each day lies within"):
        return _BILL
    return _OF_RULE.get(expectation) or _OF_SUITE.get(suite, "Look at the rows named.")
