"""Indexes of the gateway's that one of the ledger's contains, and that each INSERT paid for twice.

The ledger's index gets the name of the one whose work it does, so that whatever asks for the name
finds it: a gateway that begins with CREATE INDEX IF NOT EXISTS does not build, behind a lock that
its writers wait for, what was just dropped. What was dropped is noted in the settings, whole.
"""

from __future__ import annotations

from functools import partial

from psycopg import sql

from migrations.indexing import build_concurrently
from migrations.memory import forget, note, noted
from migrations.patience import patiently
from omniledger.catalog import is_there
from omniledger.database import Connection

_TABLE = "omni2.audit_logs"
_SETTING = "replaced_indexes"
"""JSON: name of the ledger's index → name of what it replaced → CREATE INDEX of that."""

# Equal are columns, operator classes, collations and directions, as far as theirs go. What somebody
# gave a comment, a place on disk or a use of its own is left alone.
_REDUNDANT = r"""
    select o.relname, t.relname, pg_get_indexdef(t.oid)
    from pg_index as i
    inner join pg_class as t on i.indexrelid = t.oid
    inner join pg_index as l on i.indrelid = l.indrelid
    inner join pg_class as o on l.indexrelid = o.oid and i.indexrelid <> o.oid
    where
        i.indrelid = 'omni2.audit_logs'::regclass
        and o.relname in ('omniledger_audit_logs_quota', 'omniledger_audit_logs_server')
        and t.relname not like 'omniledger\_%'
        and l.indisvalid
        and o.relam = t.relam
        and l.indkey::text || ' ' like i.indkey::text || ' %'
        and l.indclass::text || ' ' like i.indclass::text || ' %'
        and l.indcollation::text || ' ' like i.indcollation::text || ' %'
        and l.indoption::text || ' ' like i.indoption::text || ' %'
        and i.indnatts = i.indnkeyatts
        and not (i.indisunique or i.indisclustered or i.indisreplident)
        and i.indpred is null
        and i.indexprs is null
        and t.reltablespace = 0
        and obj_description(t.oid, 'pg_class') is null
        and not exists (
            select from pg_depend as d
            where d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
        )
"""


def replace_redundant(connection: Connection) -> None:
    """Drop them while others write, and hand their names on; what was killed goes on.

    Args:
        connection: outside of any transaction.
    """
    for ours, theirs, definition in connection.execute(_REDUNDANT.encode()).fetchall():
        earlier = noted(connection, _SETTING).get(ours, {})
        note(connection, _SETTING, ours, {**earlier, theirs: definition})
    for ours, replaced in noted(connection, _SETTING).items():
        if _exists(connection, ours):
            for theirs in replaced:
                connection.execute(
                    sql.SQL("drop index concurrently if exists {}").format(_index(theirs))
                )
            _rename(connection, ours, _heir(replaced))


def put_back(connection: Connection) -> None:
    """Give the ledger's indexes their own names again, and build those that were dropped.

    Args:
        connection: outside of any transaction.
    """
    for ours, replaced in noted(connection, _SETTING).items():
        if not _exists(connection, ours) and _exists(connection, _heir(replaced)):
            _rename(connection, _heir(replaced), ours)
        for theirs, definition in replaced.items():
            create = definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)
            build_concurrently(connection, _index(theirs), sql.SQL(create))
        forget(connection, _SETTING, ours)


def names(connection: Connection) -> dict[str, str]:
    """The name that an index of the ledger's goes by now, of those that go by another's."""
    return {ours: _heir(replaced) for ours, replaced in noted(connection, _SETTING).items()}


def _heir(replaced: dict[str, str]) -> str:
    """Which of the names goes on: where several indexes were dropped, the first."""
    return min(replaced)


def _index(name: str) -> sql.Identifier:
    return sql.Identifier("omni2", name)


def _exists(connection: Connection, name: str) -> bool:
    return is_there(connection, _index(name).as_string(None))


def _rename(connection: Connection, old: str, new: str) -> None:
    rename = sql.SQL("alter index {} rename to {}").format(_index(old), sql.Identifier(new))
    patiently(connection, _TABLE, partial(connection.execute, rename))
