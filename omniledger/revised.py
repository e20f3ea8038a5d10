"""What was published of usage before it was published otherwise: `analytics.usage_revisions`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from psycopg import sql

from omniledger.database import Connection
from omniledger.marts import BUILD, PUBLISHED, Mart, changed_days, columns_in
from omniledger.roles import share

USAGE, REVISIONS = "fct_daily_usage", "usage_revisions"

_TABLE = """
create table if not exists {revisions} (
    usage_date date not null,
    user_id integer,
    llm_model text not null,
    source_system text not null,
    old jsonb,
    new jsonb,
    revised_at timestamp with time zone not null default now(),
    reason text not null,
    run_id uuid
)
"""

_COMMENT = """
comment on table {revisions} is
{comment}
"""

_SAID = (
    "Each figure of usage that was published and then published otherwise: as it was (old, NULL "
    "where nothing was), as it is since (new, NULL where nothing is), when, and why: rows came, "
    "changed or left; another model, as the operator or a name says; days of another time zone; or "
    "another price, or way to compute."
)

_INDEX = "create index if not exists usage_revisions_day_idx on {revisions} (usage_date)"

# Compared are the columns that both have: a column that the models gain revises nothing.
_NOTE = """
with published as (
    select usage_date, user_id, llm_model, source_system, {figures} as figures
    from {published}
    where usage_date = any(%(days)s)
),

built as (
    select usage_date, user_id, llm_model, source_system, {figures} as figures
    from {build}
    where
        usage_date = any(%(days)s)
        and (
            usage_date in (select usage_date from published)
            -- It was published and emptied before.
            or usage_date in (select usage_date from {revisions})
        )
),

differing as (
    select
        coalesce(old.usage_date, new.usage_date) as usage_date,
        coalesce(old.user_id, new.user_id) as user_id,
        coalesce(old.llm_model, new.llm_model) as llm_model,
        coalesce(old.source_system, new.source_system) as source_system,
        old.figures as old,
        new.figures as new
    from published as old
    full join built as new
        on
            old.usage_date = new.usage_date
            and coalesce(old.user_id::text, '') = coalesce(new.user_id::text, '')
            and old.llm_model = new.llm_model
            and old.source_system = new.source_system
    where old.figures is distinct from new.figures
),

-- Over all models of a day, user and source: what only moved between models is the same in sum.
counted as (
    select
        *,
        {is_same_in_sum} as is_same_in_sum
    from differing
    window of_all as (partition by usage_date, user_id, source_system)
)

insert into {revisions} (
    usage_date, user_id, llm_model, source_system, old, new, reason, run_id
)
select
    usage_date,
    user_id,
    llm_model,
    source_system,
    old,
    new,
    case
        when ({counts_differ}) and is_same_in_sum then 'model'
        when ({counts_differ}) and {is_other_zone} then 'zone'
        when {counts_differ} then 'rows'
        else 'price'
    end,
    %(run_id)s
from counted
"""

_SAME_IN_SUM = (
    "sum(coalesce((old ->> {0})::numeric, 0)) over of_all"
    " = sum(coalesce((new ->> {0})::numeric, 0)) over of_all"
)

# Nothing is remembered of before the first publication.
_IS_OTHER_ZONE = """
(
    select count(distinct value) > 1
    from ledger.settings
    where name in ('published_reporting_timezone', 'reporting_timezone')
)
"""

_COUNTS = (
    "requests",
    "errors",
    "blocked",
    "tool_calls",
    "tool_calls_reported",
    "tokens_input",
    "tokens_output",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_total",
    "cost_recorded_usd",
)
_NOT_FIGURES = ("usage_key", "usage_date", "user_id", "llm_model", "source_system", "model_names")


def note_revisions(connection: Connection, run_id: UUID, gained: Iterable[str] = ()) -> int:
    """Keep what is published of usage and will be published otherwise now.

    Called in the publisher's transaction, before it replaces the days. A day that was never
    published is no revision, and neither is a column that the models have just gained.

    Returns:
        How many rows of usage are revised.
    """
    parts = {
        "revisions": sql.Identifier(PUBLISHED, REVISIONS),
        "published": sql.Identifier(PUBLISHED, USAGE),
        "build": sql.Identifier(BUILD, USAGE),
        "figures": _figures(connection, (*gained, *_NOT_FIGURES)),
        "comment": sql.Literal(_SAID),
        "counts_differ": sql.SQL(" or ").join(
            sql.SQL("old -> {0} is distinct from new -> {0}").format(sql.Literal(name))
            for name in _COUNTS
        ),
        "is_other_zone": sql.SQL(_IS_OTHER_ZONE),
        "is_same_in_sum": sql.SQL(" and ").join(
            sql.SQL(_SAME_IN_SUM).format(sql.Literal(name)) for name in _COUNTS
        ),
    }
    if not columns_in(connection, PUBLISHED, Mart(REVISIONS)):
        for statement in (_TABLE, _COMMENT, _INDEX):
            connection.execute(sql.SQL(statement).format(**parts))
        share(connection, PUBLISHED, REVISIONS)
    days = list(changed_days(connection, Mart(USAGE, "usage_date", "audit_logs")))
    values = {"days": days, "run_id": run_id}
    return connection.execute(sql.SQL(_NOTE).format(**parts), values).rowcount if days else 0


def _figures(connection: Connection, left_out: Collection[str]) -> sql.Composed:
    """SQL of a row's figures as a document."""
    pairs = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(name))
        for name in columns_in(connection, PUBLISHED, Mart(USAGE))
        if name not in left_out and not name.startswith("built_")
    )
    return sql.SQL("jsonb_build_object({})").format(pairs)
