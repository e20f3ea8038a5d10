"""Let limits follow what the gateway's tables are: of who was deleted, and of any type.

What was noted last of a deleted user stayed in force in the marts and on the report, though the
quota check no longer knew it. An id or a limit kept as a text failed each run, and the check of
everybody until the next one.

Locks: none that anybody could wait for; functions are replaced.
Way back: none is needed; what was noted stays true, and revision 0025 puts its functions back.

Revision ID: 0031
Revises: 0030
"""

from migrations.ddl import run, sql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("limits_query_0025", "note_limits", "check_usage_limit"):
        run(sql(name))
    run("select ledger.refresh_limits()")


def downgrade() -> None:
    pass
