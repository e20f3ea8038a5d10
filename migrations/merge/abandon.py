"""The way back of a merge that was begun and not cut over: the old table never went away."""

from __future__ import annotations

from functools import partial

from psycopg import sql

from migrations.merge import foreign_keys, indexes, referring
from migrations.merge.copy import forget
from migrations.merge.record import unfinished
from migrations.merge.statements import Statements
from migrations.merge.watch import unwatch, unwatch_ledger
from migrations.patience import patiently
from omniledger.database import Connection

_EVERYTHING = sql.SQL("true")


def abandon(connection: Connection) -> None:
    """Take what a merge that was killed, or put off half way, has copied out of the ledger again.

    Locks: SHARE ROW EXCLUSIVE on the old table and ACCESS EXCLUSIVE on `omni2.audit_logs`, each for
    an instant; the copied rows are deleted in one transaction, which no writer waits for.
    """
    legacy = unfinished(connection)
    if legacy is None:
        return
    if legacy.has_table:
        patiently(connection, legacy.relation, partial(unwatch, connection, legacy))
    patiently(connection, "omni2.audit_logs", partial(unwatch_ledger, connection))
    patiently(connection, "omni2.audit_logs", partial(foreign_keys.drop, connection))
    patiently(connection, "omni2.audit_logs", partial(indexes.drop, connection))
    with connection.transaction():
        referring.require_none_bound(connection)
        forget(connection, Statements(legacy), _EVERYTHING, {})
        connection.execute("delete from omni2.audit_logs where source_system = 'legacy'")
        for table in ("audit_quarantine", "audit_tombstones", "audit_merge_changes"):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier("ledger", table)))
        connection.execute(
            "delete from ledger.merge_runs where finished_at is null and cutover_xid is null"
        )
