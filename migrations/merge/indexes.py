"""Indexes of the legacy table on columns that the ledger did not know, built anew on the ledger.

The ledger's own indexes serve what is usually asked; these serve a search column, say, or a time
that keeps a type of its own. Indexes with an expression or a condition are not carried.
"""

from __future__ import annotations

from psycopg import sql

from migrations.identifiers import shortened
from migrations.indexing import build_concurrently
from migrations.legacy import ADDED_COLUMNS, GATEWAY_COLUMNS, Legacy
from migrations.merge.statements import LEDGER
from omniledger.database import Connection

_PREFIX = "omniledger_carried_"

_INDEXES = """
    select
        c.relname,
        m.amname,
        array(
            select a.attname::text
            from unnest(i.indkey::smallint []) with ordinality as k (attnum, place)
            inner join pg_attribute as a on i.indrelid = a.attrelid and k.attnum = a.attnum
            where k.place <= i.indnkeyatts
            order by k.place
        ),
        array(
            select
                case when not o.opcdefault then format(' %%I.%%I', n.nspname, o.opcname) else '' end
                || case when p.option & 1 = 1 then ' desc' else '' end
                || case
                    when p.option & 1 <> (p.option & 2) / 2
                        then case when p.option & 2 = 2 then ' nulls first' else ' nulls last' end
                    else ''
                end
            from unnest(i.indoption::smallint [], i.indclass::oid [])
                with ordinality as p (option, class, place)
            inner join pg_opclass as o on p.class = o.oid
            inner join pg_namespace as n on o.opcnamespace = n.oid
            order by p.place
        )
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_am as m on c.relam = m.oid
    where
        i.indrelid = to_regclass(%s)
        and i.indisvalid
        and i.indexprs is null
        and i.indpred is null
        and not i.indisunique
    order by c.relname
"""

_OURS = r"""
    select c.relname
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    where i.indrelid = 'omni2.audit_logs'::regclass and c.relname like 'omniledger\_carried\_%%'
"""


def carry(connection: Connection, legacy: Legacy) -> None:
    """Build them while others write; one that a kill left broken is built anew.

    Args:
        connection: outside of any transaction.
    """
    targets = {column.name: column.target for column in legacy.columns}
    known = {"legacy_id", "legacy_user_id", *ADDED_COLUMNS, *GATEWAY_COLUMNS}
    rows = connection.execute(_INDEXES, (legacy.relation,)).fetchall()
    for old_name, method, columns, options in rows:
        places = [targets[column] for column in columns]
        if known.issuperset(places):
            continue
        name = shortened(f"{_PREFIX}{old_name}")
        create = sql.SQL(
            "create index concurrently {} on {} using {} ({}) where legacy_id is not null"
        ).format(
            sql.Identifier(name),
            LEDGER,
            sql.Identifier(method),
            sql.SQL(", ").join(
                sql.Identifier(place) + sql.SQL(option)
                for place, option in zip(places, options, strict=True)
            ),
        )
        build_concurrently(connection, sql.Identifier("omni2", name), create)


def drop(connection: Connection) -> None:
    """Take them off again."""
    for (name,) in connection.execute(_OURS).fetchall():
        connection.execute(sql.SQL("drop index {}").format(sql.Identifier("omni2", name)))
