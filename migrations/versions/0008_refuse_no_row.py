"""Take the rows that the first triggers and indexes refused, also in databases that have those.

A row at the end of time could not leave the ledger, a name of several kilobytes among
`mcps_accessed` had no room in an index, and a users table that somebody changed failed each write
through the old name. Revisions 0004 to 0006 make it right from the beginning, for the merge lives
with them; this one and 0034 bring it to databases that ran them as they were.

Locks: none that a writer waits for; the index is dropped CONCURRENTLY.
Way back: nothing to do, for revision 0007 works with the same functions.

Revision ID: 0008
Revises: 0007
"""

from migrations.ddl import drop_index, run, sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("change_tracking"))
    drop_index("omniledger_audit_logs_servers", "omni2")


def downgrade() -> None:
    pass
