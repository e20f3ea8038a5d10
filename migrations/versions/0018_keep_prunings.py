"""Keep which raw rows were removed, so that the figures of their days stay as they are.

Locks: none that anybody could wait for; only new tables are made.
Way back: they are dropped where nothing was removed. Else they stay: without them the next run
would build days of which the rows are gone. The views that runs built go first.

Revision ID: 0018
Revises: 0017
"""

from migrations.built import drop_built
from migrations.ddl import run, sql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_DROP_UNLESS_USED = """
do $omniledger$
begin
    if not exists (select from ledger.prunings) then
        drop table ledger.prunings, ledger.pruned_servers;
    end if;
end
$omniledger$
"""


def upgrade() -> None:
    run(sql("prunings"))


def downgrade() -> None:
    drop_built("view")
    run(_DROP_UNLESS_USED)
