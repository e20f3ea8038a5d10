"""Make a role for each way of using the database, with no more rights than that way needs.

Where this login may not make roles nothing is granted, and a notice says so: `omniledger roles
sql` prints the same for an administrator. What runs call and nobody else should, only the runner
may call; so it may look again which tables say what users may spend, with its owner's rights.

Locks: none that anybody waits for.
Way back: what was granted is revoked, but from the writer's role while a login writes through it;
the roles stay, for another database may use them.

Revision ID: 0015
Revises: 0014
"""

from migrations.ddl import run, sql
from migrations.roles import granting, revoking
from omniledger.settings import get_settings

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_PINNED = (
    "ledger.stamp_change()",
    "ledger.canonical_model(text)",
    "ledger.default_cost_limit()",
    "ledger.effective_limit(bigint)",
    "ledger.day_starts_at(date, text)",
    "ledger.check_usage_limit(bigint, double precision)",
)
"""Functions whose names of other things must not depend on who calls them."""


def upgrade() -> None:
    for schema in ("analytics", "analytics_build"):
        run(f"create schema if not exists {schema}")
    run(sql("refresh_limits"))
    for function in _PINNED:
        run(f"alter function {function} set search_path = pg_catalog, pg_temp")
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    run(revoking(get_settings().legacy_schema))
    run("alter function ledger.refresh_limits() security invoker")
    for function in _PINNED:
        run(f"alter function {function} reset search_path")
