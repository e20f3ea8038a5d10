"""The moment in which the old name becomes a view of the ledger."""

from __future__ import annotations

import re
from decimal import Decimal

from psycopg import sql

from migrations import standing
from migrations.columns import read_columns
from migrations.fingerprint import read_fingerprint
from migrations.gateway import LEDGER
from migrations.legacy import ARCHIVE, Legacy
from migrations.merge import dependents, derived, foreign_keys, identity, referring, triggers
from migrations.merge.copy import apply_changes, changes_left
from migrations.merge.labels import Labels
from migrations.merge.lending import lend_usage
from migrations.merge.record import note_cut_over
from migrations.merge.statements import Statements
from migrations.merge.watch import is_watched, unwatch
from migrations.patience import lock_together
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
    """The old table is not as it was found when this merge began, or was not watched all along."""


class TooManyChanges(Exception):
    """More was written meanwhile than may be applied while writers wait; nothing is changed."""


def locks(connection: Connection, relation: str) -> dict[str, str]:
    """By the name of each table that the cut over locks how it does, in the order of locking.

    Whoever writes a row with a foreign key locks its table first, and then the one that the key
    names. The old table, which has the most writers, comes last: nobody waits there behind us while
    we wait for another.
    """
    exclusive, shared = "access exclusive", "share row exclusive"
    modes = {r.table: exclusive for r in referring.references(connection, relation, "id")}
    for table in (*foreign_keys.referenced(connection, relation), LEDGER):
        modes.setdefault(table, shared)
    return modes | {relation: exclusive}


def cut_over(
    connection: Connection, statements: Statements, window: Decimal, run_id: int, at_most: int
) -> None:
    """Swap the legacy table for the view, in one transaction.

    Locks: ACCESS EXCLUSIVE on the legacy table and on those with foreign keys to it, SHARE ROW
    EXCLUSIVE on the ledger and on the tables that it references, for the rows that were written
    since the last `apply_changes`, a few milliseconds. All are there before anything is done. Call
    it through `patiently`.

    Args:
        at_most: how many notes of a change may be applied while writers wait.

    Raises:
        TableChanged: it has to be looked at again, and the merge begun again; nothing is changed.
        TooManyChanges: it has to be caught up with first.
    """
    legacy = statements.legacy
    with connection.transaction():
        # It takes a while, so before anybody waits.
        if any(standing.over(connection, legacy.relation, becomes_view=True)):
            raise TableChanged
        lock_together(connection, locks(connection, legacy.relation))
        is_same = read_fingerprint(connection, legacy.relation) == legacy.fingerprint
        if not is_same or not is_watched(connection, legacy):
            raise TableChanged
        if changes_left(connection, at_most + 1) > at_most:
            raise TooManyChanges
        apply_changes(connection, statements, window, at_most=None)
        references = referring.references(connection, legacy.relation, "id")
        referring.require_none_quarantined(connection, references)
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
        note_cut_over(connection, run_id)


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
        identity.free(connection, sql.SQL(legacy.relation), sequence)
    else:
        connection.execute(sql.SQL("alter sequence {} owned by none").format(sequence))
    return sequence


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
        defaults["id"] = sql.SQL("nextval({}::regclass)").format(sql.Literal(sequence.as_string()))
    ledgers = {c.name for c in read_columns(connection, "omni2.audit_logs") if c.default}
    for column in legacy.columns:
        if column.target in ledgers and column.name not in defaults and not column.generated:
            # A bare NULL is as though nothing were said, and then the ledger's own would count.
            defaults[column.name] = sql.SQL("nullif('', '')::{}").format(sql.SQL(column.type))
    # Without an id, or with one that is said to be NULL, the row would be the gateway's, and nobody
    # would find it under the old name; the old table refused it.
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
        (drawn[1].replace("''", "'"), sequence.as_string()),
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
    for drawn in (ledger_sequence(connection), sequence and sequence.as_string()):
        if drawn:
            lend_usage(connection, "sequence", drawn, labels.holders("INSERT"))
