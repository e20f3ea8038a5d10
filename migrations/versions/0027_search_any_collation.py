"""Search the logs dialog whatever collations the gateway's columns have.

What is searched is compared in the database's own collation, that of the search index: a
nondeterministic one matches no pattern, and several at once leave none to match by.

Locks: none that anybody could wait for; functions are replaced.
Way back: the functions are again what they were.

Revision ID: 0027
Revises: 0026
"""

from migrations.ddl import run, sql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("audit_collations"))


def downgrade() -> None:
    for name in ("logs_functions", "health_page", "audit_page"):
        run(sql(name))
