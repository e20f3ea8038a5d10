"""Read limits that are written `.5` or `+5`, and pass over users beyond all numbers of persons.

Such a text was no limit, so that another one held. One user whose id is beyond an integer failed
each run, and one limit of very many digits the check of its user.

Locks: none that anybody could wait for; functions are replaced.
Way back: the functions are again what they were.

Revision ID: 0040
Revises: 0039
"""

from migrations.ddl import run, sql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _read("limits_query")


def downgrade() -> None:
    _read("limits_query_0025")


def _read(name: str) -> None:
    run(sql(name))
    run("select ledger.refresh_limits()")
