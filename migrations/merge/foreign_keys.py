"""The foreign keys of the legacy table, which go on on the columns that hold its values now."""

from __future__ import annotations

from functools import partial

from psycopg import sql

from migrations.legacy import Legacy
from migrations.patience import patiently
from omniledger.database import Connection

_PREFIX = "omniledger_"

_KEYS = """
    select
        k.conname,
        k.convalidated,
        array(
            select a.attname::text
            from unnest(k.conkey) with ordinality as c (attnum, place)
            inner join pg_attribute as a on k.conrelid = a.attrelid and c.attnum = a.attnum
            order by c.place
        ),
        substring(pg_get_constraintdef(k.oid) from 'REFERENCES .*?(?= NOT VALID|$)')
    from pg_constraint as k
    where k.conrelid = to_regclass(%s) and k.contype = 'f'
    order by k.conname
"""

_OURS = r"""
    select conname
    from pg_constraint
    where
        conrelid = 'omni2.audit_logs'::regclass
        and contype = 'f'
        and conname like 'omniledger\_%%'
        and (convalidated = %(is_valid)s or %(is_valid)s is null)
"""


def carry(connection: Connection, legacy: Legacy) -> None:
    """Put each foreign key of the legacy table on the ledger, without looking at its rows yet.

    The references that were checked there are checked by `validate`, when the last row has come.
    """
    targets = {column.name: column.target for column in legacy.columns}
    for name, _, columns, references in connection.execute(_KEYS, (legacy.relation,)).fetchall():
        ours = sql.Identifier(f"{_PREFIX}{name}"[:63])
        add = sql.SQL(
            "alter table omni2.audit_logs drop constraint if exists {name},"
            " add constraint {name} foreign key ({columns}) {references} not valid"
        ).format(
            name=ours,
            columns=sql.SQL(", ").join(sql.Identifier(targets[column]) for column in columns),
            references=sql.SQL(references),
        )
        patiently(connection, "omni2.audit_logs", partial(connection.execute, add))


def validate(connection: Connection, archive: str) -> None:
    """Check the carried references, while others write, that the old table vouched for."""
    vouched = {
        f"{_PREFIX}{name}"[:63]
        for name, is_valid, *_ in connection.execute(_KEYS, (archive,))
        if is_valid
    }
    for (name,) in connection.execute(_OURS, {"is_valid": False}).fetchall():
        if name in vouched:
            connection.execute(
                sql.SQL("alter table omni2.audit_logs validate constraint {}").format(
                    sql.Identifier(name)
                )
            )


def drop(connection: Connection) -> None:
    """Take the carried references off again."""
    for (name,) in connection.execute(_OURS, {"is_valid": None}).fetchall():
        connection.execute(
            sql.SQL("alter table omni2.audit_logs drop constraint {}").format(sql.Identifier(name))
        )
