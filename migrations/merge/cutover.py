"""The moment in which the old name becomes a view of the ledger."""

from __future__ import annotations

import re
from decimal import Decimal

from psycopg import sql

from migrations.columns import read_columns
from migrations.fingerprint import read_fingerprint
from migrations.legacy import ARCHIVE, Legacy
from migrations.merge import dependents, derived, foreign_keys, triggers
from migrations.merge.copy import apply_changes
from migrations.merge.labels import Labels
from migrations.merge.statements import Statements
from migrations.merge.watch import unwatch
from migrations.sequences import ledger_sequence
from migrations.triggers import read_triggers
from omniledger.database import Connection
from omniledger.errors import NotReadyError

# A view does what its owner may.
_POWERLESS_OWNER = """
    select pg_get_userbyid(c.relowner)
    from pg_class as c
    where
        c.oid = to_regclass(%s)
        and case
            when has_schema_privilege(c.relowner, 'omni2', 'usage')
                then
                    not has_table_privilege(c.relowner, 'omni2.audit_logs', 'select')
                    or not has_table_privilege(c.relowner, 'omni2.audit_logs', 'insert')
                    or not has_table_privilege(c.relowner, 'omni2.audit_logs', 'update')
                    or not has_table_privilege(c.relowner, 'omni2.audit_logs', 'delete')
            else true
        end
"""


class TableChanged(Exception):
    """The old table is not as it was found when this merge began."""


def cut_over(connection: Connection, statements: Statements, window: Decimal, run_id: int) -> None:
    """Swap the legacy table for the view, in one transaction.

    Locks: ACCESS EXCLUSIVE on the legacy table for the rows that were written since the last
    `apply_changes`, a few milliseconds. Call it through `patiently`.

    Raises:
        TableChanged: it has to be looked at again, and the merge begun again; nothing is changed.
    """
    legacy = statements.legacy
    with connection.transaction():
        connection.execute(
            sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(legacy.relation))
        )
        if read_fingerprint(connection, legacy.relation) != legacy.fingerprint:
            raise TableChanged
        apply_changes(connection, statements, window, at_most=None)
        references = foreign_keys.referencing(connection, legacy.relation, "id")
        foreign_keys.require_none_quarantined(connection, references)
        unwatch(connection, legacy)
        labels = Labels.read(connection, legacy.relation)
        own_triggers = read_triggers(connection, legacy.relation)
        with dependents.carried(connection, legacy.relation):
            sequence = _free_sequence(connection, legacy)
            _archive(connection, legacy)
            make_view(connection, legacy, sequence)
            labels.give(connection, legacy.relation)
        triggers.carry(connection, legacy, own_triggers, labels)
        _let_writers_count(connection, labels, sequence)
        foreign_keys.carry(connection, legacy, f"ledger.{ARCHIVE}")
        for reference in references:
            reference.point_to(connection, sql.SQL("omni2.audit_logs (legacy_id)"))
        connection.execute(
            "update ledger.merge_runs set cutover_xid = pg_current_xact_id()::text::bigint"
            " where id = %s",
            (run_id,),
        )


def _archive(connection: Connection, legacy: Legacy) -> None:
    connection.execute(sql.SQL("alter table {} set schema ledger").format(sql.SQL(legacy.relation)))
    connection.execute(
        sql.SQL("alter table ledger.{} rename to {}").format(
            sql.Identifier("audit_logs"), sql.Identifier(ARCHIVE)
        )
    )


def _free_sequence(connection: Connection, legacy: Legacy) -> sql.Identifier | None:
    """Let the id's sequence keep its name and place when the table moves away."""
    if legacy.sequence is None:
        return None
    sequence = sql.Identifier(*legacy.sequence)
    if legacy.identity:
        # The sequence of an identity column can't outlive it, so one of its name takes its place.
        state = connection.execute(
            sql.SQL("select last_value, is_called from {}").format(sequence)
        ).fetchone()
        connection.execute(
            sql.SQL("alter table {} alter column id drop identity").format(sql.SQL(legacy.relation))
        )
        connection.execute(
            sql.SQL("create sequence {} as {}").format(
                sequence, sql.SQL(legacy.target_type("legacy_id") or "bigint")
            )
        )
        connection.execute("select setval(%s::regclass, %s, %s)", (_text(sequence), *(state or ())))
    else:
        connection.execute(sql.SQL("alter sequence {} owned by none").format(sequence))
    return sequence


def _text(identifier: sql.Identifier) -> str:
    return identifier.as_string(None)


def make_view(connection: Connection, legacy: Legacy, sequence: sql.Identifier | None) -> None:
    """Make the view with the old name, columns, types and defaults."""
    view = sql.SQL(legacy.relation)
    columns = [
        sql.SQL("{} as {}").format(sql.Identifier(c.target), sql.Identifier(c.name))
        for c in legacy.columns
    ]
    defaults: dict[str, sql.Composable] = {
        c.name: sql.SQL(c.default) for c in legacy.columns if c.default
    }
    if sequence is not None and is_drawn(connection, legacy, sequence):
        defaults["id"] = sql.SQL("nextval({}::regclass)").format(sql.Literal(_text(sequence)))
    ledgers = {c.name for c in read_columns(connection, "omni2.audit_logs") if c.default}
    for column in legacy.columns:
        if column.target in ledgers and column.name not in defaults and not column.generated:
            # A bare NULL is as though nothing were said, and then the ledger's own would count.
            defaults[column.name] = sql.SQL("nullif('', '')::{}").format(sql.SQL(column.type))
    # Without an id the row would be the gateway's; the old table refused it.
    connection.execute(
        sql.SQL(
            "create view {} as select {} from omni2.audit_logs where legacy_id is not null"
            " with local check option"
        ).format(view, sql.SQL(", ").join(columns))
    )
    if defaults:
        changes = [
            sql.SQL("alter column {} set default {}").format(sql.Identifier(name), value)
            for name, value in defaults.items()
        ]
        connection.execute(sql.SQL("alter view {} {}").format(view, sql.SQL(", ").join(changes)))
    derived.carry(connection, legacy)
    owner = powerless_owner(connection, legacy.relation)
    if owner is not None:
        raise NotReadyError(
            f"Something, an event trigger perhaps, gave the view {legacy.relation} to {owner}, who "
            "may not write omni2.audit_logs, so that nobody could write through it; the old name "
            "is as it was: disable that and run the command again, it goes on where it was."
        )


def is_drawn(connection: Connection, legacy: Legacy, sequence: sql.Identifier) -> bool:
    """Whether the ids come from the sequence that they own, and not from another place."""
    default = next((c.default for c in legacy.columns if c.name == "id"), None)
    if legacy.identity or default is None:
        return True
    drawn = re.fullmatch(r"nextval\('(.+)'::regclass\)", default)
    if drawn is None:
        return False
    same = connection.execute(
        "select to_regclass(%s) = to_regclass(%s)",
        (drawn[1].replace("''", "'"), _text(sequence)),
    ).fetchone()
    return same == (True,)


def powerless_owner(connection: Connection, relation: str) -> str | None:
    """The owner of the view with the old name, where that role may not do what the view does."""
    row = connection.execute(_POWERLESS_OWNER, (relation,)).fetchone()
    return None if row is None else str(row[0])


def _let_writers_count(
    connection: Connection, labels: Labels, sequence: sql.Identifier | None
) -> None:
    """Let those who may write the view draw the ledger's own ids, which its rights don't cover,
    and the old ones, which an identity column let them draw."""
    ledger = ledger_sequence(connection)
    sequences = [sql.SQL(ledger)] if ledger else []
    for drawn in [*sequences, *([sequence] if sequence else [])]:
        for grant in labels.grants:
            if grant.privilege == "INSERT":
                connection.execute(
                    sql.SQL("grant usage on sequence {} to {}").format(drawn, grant.whom)
                )
