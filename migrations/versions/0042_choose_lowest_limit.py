"""Let the lowest limit hold where several users have one id.

Nothing chose among them, so that they took turns: the quota check had now one's limit and now the
other's, and each run noted a limit anew.

Revision 0011 makes it so from the beginning; this one brings it to databases that ran that
as it was.

Locks: none that anybody could wait for; functions are replaced.
Way back: nothing to do.

Revision ID: 0042
Revises: 0041
"""

from migrations.ddl import run, sql

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("effective_limits", "refresh_limits", "check_usage_limit"):
        run(sql(name))
    run("select ledger.refresh_limits()")


def downgrade() -> None:
    pass
