"""Keep which channels missed an alert, so that each is told once it is there again.

Locks: on `ledger.alerts` ACCESS EXCLUSIVE for an instant, to give it a column; only looks write it.
Way back: the column is dropped; what a channel missed is not told any more.

Revision ID: 0029
Revises: 0028
"""

from migrations.ddl import run, run_live

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_ALERTS = "ledger.alerts"


def upgrade() -> None:
    run_live(
        _ALERTS,
        f"alter table {_ALERTS} add column if not exists missed_by integer [] default '{{}}'"
        " not null",
    )
    run(
        f"comment on column {_ALERTS}.missed_by is"
        " 'The channels, by their places from 1, that did not take what others were told last.'"
    )


def downgrade() -> None:
    run_live(_ALERTS, f"alter table {_ALERTS} drop column if exists missed_by")
