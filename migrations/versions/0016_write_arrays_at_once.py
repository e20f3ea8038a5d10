"""Let each write keep the index of servers up to date by itself.

A GIN index by default gathers new entries in a list, and the writer that fills the list, one in
some ten thousand, sorts all of it in while its own statement waits. The arrays are short, so that
each write does as well at once.

Locks: SHARE UPDATE EXCLUSIVE on the index for an instant, which no writer waits for.
Way back: the list is kept again, as is PostgreSQL's default.

Revision ID: 0016
Revises: 0009
"""

from migrations.ddl import run, run_live

revision = "0016"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "omni2.omniledger_audit_logs_servers"


def upgrade() -> None:
    run_live("omni2.audit_logs", f"alter index {_INDEX} set (fastupdate = off)")
    run(f"select gin_clean_pending_list('{_INDEX}')")


def downgrade() -> None:
    run_live("omni2.audit_logs", f"alter index {_INDEX} reset (fastupdate)")
