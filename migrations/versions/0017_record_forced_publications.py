"""Keep for ever who published figures that the gate had refused, and why.

Rows are only added: a trigger refuses to change or delete one, to the owner too.

Locks: none that anybody could wait for; only new objects are made.
Way back: the table is dropped, with the record in it.

Revision ID: 0017
Revises: 0016
"""

from migrations.ddl import run, sql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("forced_publications"))


def downgrade() -> None:
    run("drop table if exists ledger.forced_publications")
    run("drop function if exists ledger.refuse_to_forget()")
