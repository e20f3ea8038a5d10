"""Views over the old name: taken away while what it names changes, and made again over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from migrations.merge.labels import Labels
from omniledger.database import Connection

# A view over a view comes after it.
_VIEWS = """
    with recursive dependent as (
        select
            to_regclass(%(relation)s)::oid as oid,
            0 as depth
        union all
        select
            r.ev_class,
            dependent.depth + 1
        from dependent
        inner join pg_depend as d
            on
                dependent.oid = d.refobjid
                and d.refclassid = 'pg_class'::regclass
                and d.classid = 'pg_rewrite'::regclass
        inner join pg_rewrite as r on d.objid = r.oid
        where r.ev_class <> dependent.oid
    )

    select
        format('%%I.%%I', n.nspname, c.relname),
        pg_get_viewdef(c.oid),
        pg_get_userbyid(c.relowner),
        array_to_string(c.reloptions, ', '),
        array(
            select format(
                'alter column %%I set default %%s', a.attname, pg_get_expr(d.adbin, c.oid)
            )
            from pg_attrdef as d
            inner join pg_attribute as a on d.adrelid = a.attrelid and d.adnum = a.attnum
            where d.adrelid = c.oid
            order by d.adnum
        )
    from dependent
    inner join pg_class as c on dependent.oid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where dependent.depth > 0
    group by c.oid, n.nspname, c.relname, c.relowner, c.reloptions
    order by max(dependent.depth)
"""


@dataclass(frozen=True)
class _View:
    name: str
    definition: str
    owner: str
    options: str | None
    defaults: list[str]
    labels: Labels


@contextmanager
def carried(connection: Connection, relation: str) -> Iterator[None]:
    """Inside the block nothing depends on `relation`; after it all its views are there again.

    They come back with definition, owner, options, defaults, rights and comments, over whatever
    bears the name then. Call it inside a transaction: whoever asks for a view meanwhile waits.
    """
    views = _read(connection, relation)
    for view in reversed(views):
        connection.execute(sql.SQL("drop view {}").format(sql.SQL(view.name)))
    yield
    for view in views:
        options = f" with ({view.options})" if view.options else ""
        connection.execute(
            sql.SQL("create view {}{} as {}").format(
                sql.SQL(view.name), sql.SQL(options), sql.SQL(view.definition)
            )
        )
        connection.execute(
            sql.SQL("alter view {} owner to {}").format(
                sql.SQL(view.name), sql.Identifier(view.owner)
            )
        )
        for default in view.defaults:
            connection.execute(
                sql.SQL("alter view {} {}").format(sql.SQL(view.name), sql.SQL(default))
            )
        view.labels.give(connection, view.name)


def _read(connection: Connection, relation: str) -> list[_View]:
    with connection.transaction(force_rollback=True):
        # Without a search path every name in a definition is written in full.
        connection.execute("set local search_path = ''")
        rows = connection.execute(_VIEWS, {"relation": relation}).fetchall()
    return [
        _View(name, definition, owner, options, defaults, Labels.read(connection, name))
        for name, definition, owner, options, defaults in rows
    ]
