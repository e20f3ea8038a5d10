"""Keep each row through the old name, whatever it is made of.

A row for quarantine with JSON that jsonb can't hold was refused, and so lost.

Locks: none that anybody could wait for; functions are replaced.
Way back: the function is again what it was. The merge, which sets rows aside too, makes what turns
any row into JSON by itself, and takes it away on its own way back.

Revision ID: 0034
Revises: 0033
"""

from migrations.ddl import make_fill_in, run, sql

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("audit_as_json"))
    make_fill_in("fill_in_audit_log")


def downgrade() -> None:
    make_fill_in("fill_in_audit_log_0006")
