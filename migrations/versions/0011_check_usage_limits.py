"""Answer whether a user may go on today: one definition of the limit, for the check and the marts.

Locks: none that anybody could wait for; only new objects are made.
Way back: they are dropped, with the history of limits.

Revision ID: 0011
Revises: 0010
"""

from migrations.ddl import run, sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FUNCTIONS = (
    "check_usage_limit(bigint, double precision)",
    "check_usage_limit(bigint, numeric)",
    "note_limits()",
    "refresh_limits()",
    "effective_limit(bigint)",
    "effective_limits()",
    "limits_query()",
    "limit_of(text, text)",
    "ids_match(text, text, text, text)",
    "column_kind(text, text)",
    "default_cost_limit()",
    "day_starts_at(date, text)",
    "has_columns(text, text[])",
)


def upgrade() -> None:
    for name in (
        *("quota_helpers", "limits_query", "quota", "effective_limits", "refresh_limits"),
        *("note_limits", "check_usage_limit", "check_usage_limit_float"),
    ):
        run(sql(name))
    run("select ledger.refresh_limits(), ledger.note_limits()")


def downgrade() -> None:
    for function in _FUNCTIONS:
        run(f"drop function if exists ledger.{function}")
    run("drop type if exists ledger.usage_limit")
    run("drop table if exists ledger.limit_history")
