"""Keep how long each step of a run took, and which versions were at work.

Locks: on `ledger.runs` ACCESS EXCLUSIVE for an instant, to give it a column; only runs write it.
Way back: the durations and versions are dropped, the record of runs stays.

Revision ID: 0016
Revises: 0015
"""

from migrations.ddl import run, run_live, sql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_RUNS = "ledger.runs"


def upgrade() -> None:
    run_live(_RUNS, f"alter table {_RUNS} add column if not exists versions jsonb")
    run(sql("run_steps"))


def downgrade() -> None:
    run("drop table if exists ledger.run_steps")
    run_live(_RUNS, f"alter table {_RUNS} drop column if exists versions")
