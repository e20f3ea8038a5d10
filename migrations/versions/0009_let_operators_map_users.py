"""Let the operator's word on who is who stand, and be corrected in batches that can be killed.

Locks: ACCESS EXCLUSIVE on `ledger.user_map` for an instant.
Way back: the column is dropped. The function stays, it goes with those of revision 0006.

Revision ID: 0009
Revises: 0008
"""

from alembic import context

from migrations.ddl import run, run_live, scalar
from migrations.merge.users import ONE_SPACE

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLE = "ledger.user_map"
_KNOWS_THE_MAP = """
    select prosrc like '%user_map%'
    from pg_proc
    where oid = to_regprocedure('ledger.resolve_user(bigint)')
"""


def upgrade() -> None:
    run_live(
        _TABLE,
        f"alter table {_TABLE} add column if not exists replaces integer[] default '{{}}' not null",
    )
    run(
        f"comment on column {_TABLE}.replaces is "
        "'Users that rows of this person may still carry from earlier mappings.'"
    )
    if not context.is_offline_mode() and scalar(_KNOWS_THE_MAP) is False:
        run(ONE_SPACE)


def downgrade() -> None:
    run_live(_TABLE, f"alter table {_TABLE} drop column if exists replaces")
