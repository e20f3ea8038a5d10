"""Give `omni2.audit_logs` the columns of both logs.

Locks: ACCESS EXCLUSIVE on `omni2.audit_logs` for an instant at each statement; nothing is
rewritten or scanned. A column that somebody added by hand is adopted, or converted in batches.
Way back: the columns are dropped with what is in them (the merge is undone before), all at once
under ACCESS EXCLUSIVE, for an instant; where a column was converted, for as long as it takes to
compare it with the one made by hand.

Revision ID: 0003
Revises: 0002
"""

import json

from alembic import context, op

from migrations import going_back, hand_made
from migrations.bounds import LOOSENED, loosened
from migrations.columns import read_columns
from migrations.ddl import driver, run, run_live, scalar, sql
from migrations.legacy import GATEWAY_COLUMNS, Legacy, inspect
from migrations.memory import remember
from migrations.patience import patiently
from migrations.placing import ADDED_COLUMNS, RENAMED
from omniledger.settings import get_settings

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLE = "omni2.audit_logs"
_OWN = {"source_system": "text not null default 'gateway'"}
_MEMORY = "select coalesce((select value from ledger.settings where name = :name), '[]')"


def upgrade() -> None:
    columns, required = ADDED_COLUMNS | _OWN, set(LOOSENED)
    if context.is_offline_mode():
        run_live(_TABLE, printed(columns))
        columns = {}
    else:
        legacy = inspect(driver(), get_settings().legacy_schema)
        if legacy is not None:
            columns |= legacy.places
        with op.get_context().autocommit_block():
            hand_made.convert(driver())
        there = {column.name for column in read_columns(driver(), _TABLE)}
        columns = {name: kind for name, kind in columns.items() if name not in there}
        remember(driver(), "added_columns", set(columns))
        required = loosened(driver(), legacy.places if legacy else ())
        remember(driver(), "loosened_columns", required)
    run_live(
        _TABLE,
        *(
            f"alter table {_TABLE} add column if not exists {quoted(name)} {kind}"
            for name, kind in columns.items()
        ),
        # The old table took rows without them, and a refused row is a lost row.
        *(f"alter table {_TABLE} alter column {quoted(c)} drop not null" for c in sorted(required)),
    )


def printed(columns: dict[str, str]) -> str:
    """The same as SQL, which does what `migrations.legacy.placed` does when it is run."""

    def literals(*names: str) -> str:
        return ", ".join("'" + name.replace("'", "''") + "'" for name in names)

    def rows(pairs: dict[str, str]) -> str:
        return ", ".join(f"({literals(*pair)})" for pair in pairs.items())

    blanks = {
        "renamed": rows(RENAMED),
        "known": rows(columns),
        "gateway": literals(*GATEWAY_COLUMNS),
        "legacy": literals(Legacy(get_settings().legacy_schema, ()).relation),
        "loosened": literals(*LOOSENED),
    }
    text = sql("audit_columns")
    for name, value in blanks.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def remembered(what: str) -> list[str]:
    """What was noted, or nothing where only SQL is printed."""
    return list(json.loads(scalar(_MEMORY, name=what) or "[]"))


def downgrade() -> None:
    added = [name for name in remembered("added_columns") if name not in GATEWAY_COLUMNS]
    required = sorted(remembered("loosened_columns"))
    if not context.is_offline_mode():
        going_back.require_given(driver(), merged=False)
        with op.get_context().autocommit_block():
            going_back.prove(driver(), required)
        # In one transaction with the revision: whoever stops it finds all of it, or nothing.
        patiently(driver(), _TABLE, lock)
        going_back.require(driver(), required)
    for name in added:
        run(f"alter table {_TABLE} drop column if exists {quoted(name)}")
    if not context.is_offline_mode():
        hand_made.put_back(driver())
    run(
        "delete from ledger.settings where name in"
        " ('added_columns', 'loosened_columns', 'converted_columns', 'loosened_types')"
    )


def lock() -> None:
    """Lock the table to the end of the transaction."""
    with driver().transaction():
        driver().execute(f"lock table {_TABLE} in access exclusive mode")
