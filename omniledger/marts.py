"""The marts that readers get, and what differs between the built and the published ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from psycopg import sql

from omniledger.catalog import columns_of
from omniledger.database import Connection
from omniledger.errors import NotReadyError

BUILD, PUBLISHED = "analytics_build", "analytics"


@dataclass(frozen=True)
class Mart:
    """A table that is published: day by day where it has days, else as a whole.

    `raw` is the table of `omni2` that its days are made of, where they are of nothing else: when
    those rows are gone, what is published stays.
    """

    name: str
    day: str | None = None
    raw: str | None = None


MARTS = (
    Mart("fct_daily_usage", "usage_date", "audit_logs"),
    Mart("fct_daily_quota", "usage_date", "audit_logs"),
    Mart("fct_daily_tool_usage", "usage_date", "audit_logs"),
    Mart("fct_daily_mcp_cost", "usage_date", "audit_logs"),
    Mart("fct_daily_health", "health_date", "mcp_health_log"),
    Mart("fct_hourly_health", "health_date"),
    Mart("fct_incidents", "opened_date"),
    Mart("fct_focus", "usage_date", "audit_logs"),
    Mart("fct_bill_reconciliation", "bill_date"),
    Mart("dim_users"),
    Mart("dim_mcp_servers"),
)
"""Every mart that readers get; a new one is published once it is named here."""

# The first and last stamp and the number of rows stand for the set of a day's stamps: all rows of a
# day are built by one statement, or a changed row has a later stamp than every other.
_CHANGED_DAYS = """
with built as (
    select
        {day} as day,
        min(built_at) as first_at, max(built_at) as last_at,
        min(built_xmin) as first_xmin, max(built_xmin) as last_xmin,
        count(*) as rows
    from {build}
    where {day} is not null
    group by 1
),

published as (
    select
        {day} as day,
        min(built_at) as first_at, max(built_at) as last_at,
        min(built_xmin) as first_xmin, max(built_xmin) as last_xmin,
        count(*) as rows
    from {published}
    group by 1
)

select day
from built
full join published using (day)
where
    (built.first_at, built.last_at, built.first_xmin, built.last_xmin, built.rows)
    is distinct from (
        published.first_at, published.last_at,
        published.first_xmin, published.last_xmin, published.rows
    )
order by day
"""


def changed_days(connection: Connection, mart: Mart) -> tuple[date, ...]:
    """The days of `mart` that are built otherwise than they are published, in order.

    Pruned days are never among them: what is published of them stays.

    Raises:
        NotReadyError: the mart wasn't built.
    """
    columns_of_build(connection, mart)
    if not columns_in(connection, PUBLISHED, mart):
        built = query("select distinct {day} from {build} where {day} is not null order by 1", mart)
        return tuple(day for (day,) in connection.execute(built))
    kept = _pruned_before(connection) if mart.raw else None
    changed = connection.execute(query(_CHANGED_DAYS, mart))
    return tuple(day for (day,) in changed if kept is None or day >= kept)


def _pruned_before(connection: Connection) -> date | None:
    """The first day whose raw rows are all there; None where none were removed."""
    [(before,)] = connection.execute("select max(before_date) from ledger.prunings").fetchall()
    return cast("date | None", before)


def is_built_later_than_now(connection: Connection) -> bool:
    """Whether the clock was set back since something was built.

    The order of building and judging can't be told by such stamps, so all is built anew.
    """
    built = [mart for mart in MARTS if columns_in(connection, BUILD, mart)]
    later = "select exists (select from {build} where built_at > now())"
    return any(connection.execute(query(later, mart)).fetchone() == (True,) for mart in built)


def columns_of_build(connection: Connection, mart: Mart) -> dict[str, str]:
    """The columns of a built mart with their types, in order.

    Raises:
        NotReadyError: the mart wasn't built.
    """
    columns = columns_in(connection, BUILD, mart)
    if not columns:
        raise NotReadyError(f"{BUILD}.{mart.name} isn't there yet; `omniledger run` builds it.")
    return columns


def new_columns(connection: Connection, mart: Mart) -> dict[str, str]:
    """The columns that the model has gained since the mart was published, with their types.

    Raises:
        NotReadyError: it lost a column, or gave one another type.
    """
    built, published = columns_of_build(connection, mart), columns_in(connection, PUBLISHED, mart)
    for name, kind in published.items():
        if name not in built:
            raise NotReadyError(
                f"{PUBLISHED}.{mart.name} has the column {name}, which the models no longer make; "
                f"drop that column, then run again."
            )
        if built[name] != kind:
            raise NotReadyError(
                f"The models make {mart.name}.{name} as {built[name]}, but it is published as "
                f"{kind}; drop {PUBLISHED}.{mart.name}, then run again and it is published anew."
            )
    return {name: built[name] for name in built if name not in published} if published else {}


def columns_in(connection: Connection, schema: str, mart: Mart) -> dict[str, str]:
    """The columns of a table with their types, in order; none where there is no such table."""
    return columns_of(connection, f"{schema}.{mart.name}")


def query(template: str, mart: Mart, **parts: Any) -> sql.Composed:
    """SQL about a mart: `{build}` and `{published}` are its tables, `{day}` is its day's column."""
    return sql.SQL(template).format(
        build=sql.Identifier(BUILD, mart.name),
        published=sql.Identifier(PUBLISHED, mart.name),
        day=sql.Identifier(mart.day or ""),
        **parts,
    )
