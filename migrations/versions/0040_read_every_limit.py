"""Read limits that are written `.5` or `+5`, and pass over users beyond all numbers of persons.

Such a text was no limit, so that another one held. One user whose id is beyond an integer failed
each run, and one limit of very many digits the check of its user.

Revision 0011 makes it so from the beginning; this one brings it to databases that ran that
as it was.

Locks: none that anybody could wait for; functions are replaced.
Way back: nothing to do.

Revision ID: 0040
Revises: 0039
"""

from migrations.ddl import run, sql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("limits_query", "note_limits", "check_usage_limit"):
        run(sql(name))
    run("select ledger.refresh_limits()")


def downgrade() -> None:
    pass
