"""Whether tokens and costs add up, among the newest rows of each log."""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import inspect
from migrations.merge.old_rows import OldRows
from omniledger.counting import plural
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import LEDGER, Look

_NEWEST = 20_000
"""How many rows of each log are looked at."""

# A total that the fill-in would not have written stands beside a split that says otherwise.
_LEDGER = """
    select
        count(*),
        count(*) filter (
            where least(tokens_input, tokens_output, tokens_cached, tokens_cache_write) >= 0
            and tokens_input is not null and tokens_output is not null
            and llm_tokens_used
            <> tokens_input::numeric + tokens_output
            + coalesce(tokens_cached, 0) + coalesce(tokens_cache_write, 0)
        ),
        count(*) filter (
            where least(
                llm_tokens_used, tokens_input, tokens_output, tokens_cached, tokens_cache_write
            ) < 0 or cost_usd < 0
        )
    from (select * from omni2.audit_logs order by id desc limit %(newest)s) as newest
"""

# The investigation's `_estimate_cost`: 0.80, 4.00 and 0.08 US dollars a million tokens, rounded to
# six decimals, whatever model ran.
_OLD = """
    select
        count(*),
        count(*) filter (
            where abs({cost} - (
                coalesce({tokens_input}, 0) * 0.80
                + coalesce({tokens_output}, 0) * 4.00
                + coalesce({tokens_cached}, 0) * 0.08
            ) / 1000000) > 0.000001
        ),
        count(*) filter (where least({tokens_input}, {tokens_output}, {tokens_cached}) < 0)
    from (select * from {legacy} order by id desc limit %(newest)s) as l
"""

_SPLIT = ("tokens_input", "tokens_output", "tokens_cached")

_ADDED_UP = {*_SPLIT, "tokens_cache_write", "llm_tokens_used", "cost_usd"}


def add_up(look: Look) -> Answer:
    """Totals against splits in the ledger, costs against the old writer's own formula."""
    asked = [
        ("the ledger", "the total is not the sum of the split", _ledger(look)),
        ("the old log", "the cost is not what the writer's own formula gives", _old(look)),
    ]
    wrong, told, figures = [], [], list[Figure]()
    for log, is_mixed, query in asked:
        if query is None:
            continue
        newest = None if look.is_exact else _NEWEST
        [(rows, mixed, negative)] = look.rows(query, newest=newest)
        told.append(f"{rows:,} rows of {log}")
        wrong += [f"in {mixed:,} rows of {log} {is_mixed}"] * bool(mixed)
        wrong += [f"{plural(negative, 'row')} of {log} below zero"] * bool(negative)
        counts = {"looked at": rows, "not adding up": mixed, "below zero": negative}
        figures += [Figure(f"rows of {log} {what}", count) for what, count in counts.items()]
    if not told:
        return Answer(State.IN_ORDER, "no log has a split that could be added up")
    looked = f"{'all' if look.is_exact else 'the newest'} {' and '.join(told)}"
    if not wrong:
        return Answer(State.IN_ORDER, f"yes, in {looked}", figures=tuple(figures))
    return Answer(
        State.DRIFT,
        f"{'; '.join(wrong)}; looked at {looked}",
        "The figures mark such rows and leave what is impossible out of their sums.",
        "Look at the rows, and mend what their writer writes; they are kept as they are.",
        tuple(figures),
    )


def _ledger(look: Look) -> sql.SQL | None:
    return sql.SQL(_LEDGER) if look.columns(LEDGER).keys() >= _ADDED_UP else None


def _old(look: Look) -> sql.Composed | None:
    if not look.has_old_table:
        return None
    legacy = inspect(look.connection, look.settings.legacy_schema, must_own=False)
    if legacy is None:
        return None
    old = OldRows(legacy)
    values = {name: old.value(name) for name in _SPLIT}
    found = {name: value for name, value in values.items() if value is not None}
    if len(found) < len(values) or old.value("cost_usd") is None:
        return None
    return sql.SQL(_OLD).format(legacy=old.table, cost=old.cost, **found)
