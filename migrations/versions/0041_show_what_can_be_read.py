"""Show runners all that inspect asks, and the logs dialog no time that its clients can't read.

A runner could read neither the sequences that `omniledger inspect` compares with the highest ids,
nor who the old table's users are, so that it never ended in order. A row dated `infinity`, or
beyond the years of Python and JSON, came first for ever, and failed each page that had it. And of
each list that may hold rows of a page, as many were read as fit on it; now the lists are merged as
they are read, newest first.

Locks: none that anybody waits for; functions are replaced.
Way back: nothing to do. Revisions 0013 and 0015 make it so from the beginning.

Revision ID: 0041
Revises: 0040
"""

from migrations.ddl import run, sql
from migrations.roles import granting
from omniledger.settings import get_settings

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What it returns can't be changed in place, and only the functions made anew with it call it.
    run("-- squawk-ignore ban-drop-function\ndrop function if exists ledger.audit_listed")
    for name in ("audit_listed", "audit_found", "logs_functions"):
        run(sql(name))
    run(granting(get_settings().legacy_schema))


def downgrade() -> None:
    pass
