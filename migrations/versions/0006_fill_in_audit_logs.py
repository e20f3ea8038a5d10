"""Fill in what a writer of `omni2.audit_logs` left out and the ledger can know.

Locks: SHARE ROW EXCLUSIVE on `omni2.audit_logs` for an instant, to hang the trigger on it.
Way back: trigger and functions are dropped; what was filled in stays. What a killed merge copied is
taken out again.

Revision ID: 0006
Revises: 0005
"""

from alembic import context, op

from migrations.ddl import (
    driver,
    make_fill_in,
    own_connection,
    run,
    run_live,
)
from migrations.legacy import inspect
from migrations.merge.undo import undo
from migrations.merge.users import MAP_NOBODY, UNTIL_MERGED, make_functions
from migrations.triggers import make_trigger
from omniledger.settings import get_settings

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = "omni2.audit_logs"
_SPLIT = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write")
_INSERTED = (
    "new.source_system <> 'legacy' and (new.legacy_id is not null"
    " or coalesce(new.tokens_input, new.tokens_output) is not null)"
)
_UPDATED = " or ".join(
    f"old.{name} is distinct from new.{name}"
    for name in (*_SPLIT, "cost_usd", "timestamp", "legacy_user_id")
)


def upgrade() -> None:
    make_fill_in()
    if context.is_offline_mode():
        run("-- stand-ins until `omniledger merge run` has seen whose ids the old table holds")
        run(UNTIL_MERGED)
        run(MAP_NOBODY)
    else:
        connection = driver()
        legacy = inspect(connection, get_settings().legacy_schema)
        if legacy is not None:
            make_functions(connection, legacy)
    run_live(
        _TABLE,
        *(
            make_trigger(name, _TABLE, body)
            for name, body in {
                "omniledger_fill_in_insert": f"before insert on {_TABLE} for each row"
                f" when ({_INSERTED}) execute function ledger.fill_in_audit_log()",
                "omniledger_fill_in_update": f"before update on {_TABLE} for each row"
                f" when ({_UPDATED}) execute function ledger.fill_in_audit_log()",
            }.items()
        ),
    )


def downgrade() -> None:
    if not context.is_offline_mode():
        # An upgrade that was killed in the merge, or could not prove it, is at this revision.
        with op.get_context().autocommit_block(), own_connection() as connection:
            undo(connection)
    run_live(
        _TABLE,
        f"drop trigger if exists omniledger_fill_in_insert on {_TABLE}",
        f"drop trigger if exists omniledger_fill_in_update on {_TABLE}",
    )
    run(
        "drop function if exists ledger.fill_in_audit_log, ledger.audit_as_json,"
        " ledger.audit_complaint"
    )
    run("drop function if exists ledger.resolve_user, ledger.map_users")
