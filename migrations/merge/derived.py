"""Ledger columns that are computed, for what is written through the old name.

Two kinds: columns that the legacy table generated, which are plain here, and the ledger's columns
of the same meaning beside a legacy one that keeps a type of its own.
"""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import Carried, Legacy
from migrations.merge.statements import LEDGER
from migrations.triggers import make_trigger
from omniledger.database import Connection

_FUNCTION = """
create or replace function ledger.derive_audit_log() returns trigger
language plpgsql
-- Expressions and formulas are as they were read in a session of ours.
set standard_conforming_strings = on
as $omniledger$
#variable_conflict use_column
begin
    {body}
    return new;
end
$omniledger$
"""

_GENERATED = "new.{target} := (select {expression} from (select {row}) as l);"

_DERIVED = """if tg_op = 'INSERT' or new.{target} is distinct from old.{target} then
        new.{derives} := {value};
    end if;"""


def derives(legacy: Legacy) -> bool:
    """Whether there are any such columns."""
    return bool(legacy.derived) or any(column.generated for column in legacy.columns)


def carry(connection: Connection, legacy: Legacy) -> None:
    """Compute those columns from now on; the trigger fires before the one that fills in."""
    if not derives(legacy):
        return
    generated = [column for column in legacy.columns if column.generated]
    body = sql.SQL("\n    ").join(
        [
            *(_generated(legacy, column) for column in generated),
            *(
                sql.SQL(_DERIVED).format(
                    target=sql.Identifier(column.target),
                    derives=sql.Identifier(column.derives),
                    value=sql.SQL(column.formula).format(_new(column)),
                )
                for column in legacy.derived
            ),
        ]
    )
    connection.execute(sql.SQL(_FUNCTION).format(body=body))
    for event, condition in {
        "insert": "new.legacy_id is not null and new.source_system <> 'legacy'",
        "update": "new.legacy_id is not null and old.legacy_id is not null",
    }.items():
        connection.execute(
            make_trigger(
                f"omniledger_derive_{event}",
                "omni2.audit_logs",
                f"before {event} on omni2.audit_logs for each row when ({condition})"
                " execute function ledger.derive_audit_log()",
            ).encode()
        )


def drop(connection: Connection) -> None:
    """Compute nothing more."""
    for event in ("insert", "update"):
        connection.execute(
            sql.SQL("drop trigger if exists {} on {}").format(
                sql.Identifier(f"omniledger_derive_{event}"), LEDGER
            )
        )
    connection.execute("drop function if exists ledger.derive_audit_log")


def _generated(legacy: Legacy, column: Carried) -> sql.Composable:
    row = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(_new(other), sql.Identifier(other.name))
        for other in legacy.columns
        if not other.generated
    )
    return sql.SQL(_GENERATED).format(
        target=sql.Identifier(column.target), expression=sql.SQL(column.generated), row=row
    )


def _new(column: Carried) -> sql.Composable:
    return sql.SQL("new.") + sql.Identifier(column.target)
