"""Foreign keys of the legacy table, which go on on the columns that hold its values now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from migrations.identifiers import shortened
from migrations.legacy import Legacy
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
        substring(pg_get_constraintdef(k.oid) from 'REFERENCES .*?(?= NOT VALID|$)'),
        emptied.names,
        emptied.written
    from pg_constraint as k
    cross join lateral (
        select
            array_agg(a.attname::text order by e.place) as names,
            string_agg(quote_ident(a.attname), ', ' order by e.place) as written
        from pg_attribute as a
        inner join
            -- They came with PostgreSQL 15.
            jsonb_array_elements_text(
                coalesce(nullif(to_jsonb(k) -> 'confdelsetcols', 'null'), '[]')
            ) with ordinality as e (attnum, place)
            on a.attnum = e.attnum::smallint
        where k.conrelid = a.attrelid
    ) as emptied
    -- The server makes one of its own for each partition of what is referenced.
    where k.conrelid = to_regclass(%s) and k.contype = 'f' and k.conparentid = 0
    order by k.conname
"""

_REFERENCED = """
    select distinct confrelid::regclass::text
    from pg_constraint
    where conrelid = to_regclass(%s) and contype = 'f'
"""

_NEVER_CHECKED = """
    select conname, pg_get_constraintdef(oid)
    from pg_constraint
    where
        conrelid = to_regclass(%s)
        and contype = 'f'
        and conparentid = 0
        and not convalidated
"""

_OURS = r"""
    select conname
    from pg_constraint
    where
        conrelid = 'omni2.audit_logs'::regclass
        and contype = 'f'
        and conparentid = 0
        and conname like 'omniledger\_%%'
        and (convalidated = %(is_valid)s or %(is_valid)s is null)
"""


def referenced(connection: Connection, relation: str) -> list[str]:
    """The tables that a table references."""
    return [row[0] for row in connection.execute(_REFERENCED, (relation,))]


def carry(connection: Connection, legacy: Legacy, relation: str) -> None:
    """Put each foreign key of the old table on the ledger, without looking at its rows yet.

    Call it in the transaction of the cut over, when the last row has come: what the old table never
    checked may not hold. What was checked there is checked by `validate`.

    Args:
        relation: where the old table is by now.
    """
    targets = {column.name: column.target for column in legacy.columns}
    # A table of which a deferred key is still to be checked can't be altered.
    connection.execute("set constraints all immediate")
    for name, _, columns, references, emptied, written in connection.execute(
        _KEYS, (relation,)
    ).fetchall():
        connection.execute(
            sql.SQL(
                "alter table omni2.audit_logs add constraint {name}"
                " foreign key ({columns}) {references} not valid"
            ).format(
                name=sql.Identifier(shortened(f"{_PREFIX}{name}")),
                columns=_renamed(columns, targets),
                references=sql.SQL(references)
                if written is None
                else _emptying(references, written, _renamed(emptied, targets)),
            )
        )


def _renamed(columns: list[str], targets: dict[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(targets[column]) for column in columns)


def _emptying(references: str, written: str, renamed: sql.Composed) -> sql.Composed:
    """What is referenced, and how, where ON DELETE names the columns that it empties."""
    before, _, after = references.rpartition(f"({written})")
    return sql.SQL("{}({}){}").format(sql.SQL(before), renamed, sql.SQL(after))


@contextmanager
def unchecked(connection: Connection, archive: sql.Composable) -> Iterator[None]:
    """Let rows come back to the archive of which a reference never held, in one transaction."""
    name = archive.as_string(connection)
    keys = connection.execute(_NEVER_CHECKED, (name,)).fetchall()
    for key, _ in keys:
        connection.execute(
            sql.SQL("alter table {} drop constraint {}").format(archive, sql.Identifier(key))
        )
    yield
    for key, definition in keys:
        connection.execute(
            sql.SQL("alter table {} add constraint {} {}").format(
                archive, sql.Identifier(key), sql.SQL(definition)
            )
        )


def validate(connection: Connection, archive: str) -> None:
    """Check the carried references, while others write, that the old table vouched for."""
    vouched = {
        shortened(f"{_PREFIX}{name}")
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
