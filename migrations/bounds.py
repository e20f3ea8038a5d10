"""What `omni2.audit_logs` demands of its rows that those of the old name needn't fulfil.

A row that the old table takes must not be refused after the upgrade. What the gateway alone fills
may be bound as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from psycopg import sql

from migrations.columns import read_columns
from migrations.sequences import behind, ids_left, ledger_sequence
from omniledger.catalog import is_there
from omniledger.counting import estimated
from omniledger.database import Connection

LOOSENED = ("question", "timestamp", "success", "user_id")
"""Columns of the gateway's own that the old table's rows may lack."""

# Where it is said to be of the gateway's rows only, or of the others, as the ways out are, it is
# meant so.
_KEYS = r"""
    select format(
        'its %%s %%s would bind the rows of the old name',
        case when i.indisexclusion then 'exclusion constraint' else 'unique index' end, c.relname
    )
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    where
        i.indrelid = to_regclass('omni2.audit_logs')
        and (i.indisunique or i.indisexclusion)
        and c.relname not like 'omniledger\_%%'
        and coalesce(pg_get_expr(i.indpred, i.indrelid), '') not like '%%legacy_id IS N%%'
        and not exists (
            select from pg_attribute as a
            where
                a.attrelid = i.indrelid
                and a.attnum = any(i.indkey::smallint [])
                and a.attname <> all(%(filled)s)
        )
    order by c.relname
"""

# A page of such an index has a bound for its entries, and an expression over a text, as `left` or
# `md5`, can be meant to keep below it.
_SHORT = r"""
    select format('its index %%s has no room for the long values of %%s', c.relname, a.attname)
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_am as m on c.relam = m.oid
    inner join pg_attribute as a
        on i.indrelid = a.attrelid and a.attnum = any(i.indkey::smallint [])
    where
        i.indrelid = to_regclass('omni2.audit_logs')
        and m.amname in ('btree', 'brin')
        and a.attname = any(%(unlimited)s)
        and c.relname not like 'omniledger\_%%'
        and coalesce(pg_get_expr(i.indpred, i.indrelid), '') not like '%%legacy_id IS N%%'
    order by c.relname, a.attnum
"""

_UNLIMITED = ("text", "text[]", "character varying", "character varying[]", "bytea", "jsonb")
"""Types whose values can be longer than an entry of an index."""

_CHECKS = r"""
    select format('its check %%s would bind the rows of the old name', k.conname)
    from pg_constraint as k
    where
        k.conrelid = to_regclass('omni2.audit_logs')
        and k.contype = 'c'
        and k.conname not like 'omniledger\_%%'
        and pg_get_constraintdef(k.oid) not like '%%legacy_id IS N%%'
        and exists (
            select from pg_attribute as a
            where
                a.attrelid = k.conrelid
                and a.attnum = any(k.conkey)
                and a.attname = any(%(filled)s)
        )
    order by k.conname
"""

# Whoever is nobody at the gateway is nobody in the ledger, so a key to its users binds nobody.
_REFERENCES = r"""
    select format(
        'its foreign key %%s would %%s the rows of the old name', k.conname,
        case when a.attname = 'user_id' then 'delete' else 'bind' end
    )
    from pg_constraint as k
    inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = any(k.conkey)
    where
        k.conrelid = to_regclass('omni2.audit_logs')
        and k.contype = 'f'
        and k.conparentid = 0
        and k.conname not like 'omniledger\_%%'
        and case
            when a.attname = 'user_id' then k.confdeltype = 'c' else a.attname = any(%(filled)s)
        end
    order by k.conname
"""

_COLUMNS = """
    select case
        when a.attname = 'id' then 'its id has no default'
        else format('its column %%s is generated', a.attname)
    end
    from pg_attribute as a
    where
        a.attrelid = to_regclass('omni2.audit_logs')
        and a.attnum > 0
        and not a.attisdropped
        and case
            when a.attname = 'id' then not a.atthasdef and a.attidentity = ''
            else a.attgenerated <> '' and a.attname = any(%(filled)s)
        end
    order by a.attnum
"""

# What a domain demands is demanded of every column of it.
_DOMAINS = """
    select
        format('its column %%s is of the domain %%s, which demands something', a.attname, d.typname)
    from pg_attribute as a
    inner join pg_type as d on a.atttypid = d.oid
    where
        a.attrelid = to_regclass('omni2.audit_logs')
        and a.attnum > 0
        and a.attname = any(%(filled)s)
        and d.typtype = 'd'
        and (
            d.typnotnull
            or exists (select from pg_constraint as k where k.contypid = d.oid)
        )
    order by a.attnum
"""

_TRIGGERS = r"""
    select t.tgname
    from pg_trigger as t
    where
        t.tgrelid = to_regclass('omni2.audit_logs')
        and not t.tgisinternal
        and t.tgenabled <> 'D'
        and t.tgtype & 7 = %s
        and t.tgname not like 'omniledger\_%%'
        and pg_get_triggerdef(t.oid) not ilike '%%legacy_id IS N%%'
    order by t.tgname
"""

# Row 1, before 2, insert 4. What fires afterwards changes no row by itself.
_BEFORE, _AFTER = 7, 5

_RULES = """
    select format('its rule %s would change what is written there', r.rulename)
    from pg_rewrite as r
    where r.ev_class = to_regclass('omni2.audit_logs') and r.ev_enabled <> 'D'
    order by r.rulename
"""

_MAY_READ = "select has_sequence_privilege(%s, 'select') and has_table_privilege(%s, 'select')"

_TO_COPY = "from {old} as l"
_NOT_COPIED = " where not exists (select from omni2.audit_logs as a where a.legacy_id = l.id)"
_AT_MOST = "select count(*) from (select {rows} limit {at_most}) as r"


def loosened(connection: Connection, filled: Iterable[str]) -> set[str]:
    """The columns that must not be without a value, and will have to be for the old name's rows.

    Args:
        filled: the columns of the ledger that the old name writes.
    """
    lacking = {*LOOSENED, *filled}
    return {
        column.name
        for column in read_columns(connection, "omni2.audit_logs")
        if column.is_required
        and column.name not in ("id", "source_system")
        and (column.name in lacking or column.default is None)
    }


def bounds(connection: Connection, old: str, filled: Mapping[str, str]) -> Iterator[str]:
    """What would refuse, or delete, rows of the old name, each a reason why not to upgrade.

    Args:
        old: the quoted name of the old table.
        filled: the columns of the ledger in which the old name's rows have values, and of which
            type these are.
    """
    if not is_there(connection, "omni2.audit_logs"):
        return  # The first revision makes it.
    yield from binding(connection, filled)
    for (why,) in connection.execute(_RULES):
        yield why
    yield from _sequence(connection, old)


def binding(connection: Connection, filled: Mapping[str, str]) -> Iterator[str]:
    """What of the table itself would refuse, change or delete rows of the old name; as `bounds`."""
    unlimited = [name for name, kind in filled.items() if kind in _UNLIMITED]
    values = {"filled": [*filled, "user_id"], "unlimited": unlimited}
    for query in (_KEYS, _SHORT, _CHECKS, _REFERENCES, _COLUMNS, _DOMAINS):
        for (why,) in connection.execute(query, values):
            yield why
    for (name,) in connection.execute(_TRIGGERS, [_BEFORE]):
        yield f"its trigger {name} would change or refuse the rows of the old name"


def fired_by_copies(connection: Connection) -> list[str]:
    """The gateway's own triggers that fire after each row that is copied into the ledger."""
    return [name for (name,) in connection.execute(_TRIGGERS, [_AFTER])]


def _sequence(connection: Connection, old: str) -> Iterator[str]:
    """Old rows are copied under ids that nobody may have, and of which there must be enough."""
    name = ledger_sequence(connection)
    # Who only inspects may not be allowed to read it; who upgrades owns it.
    if name and connection.execute(_MAY_READ, (name, old)).fetchone() == (True,):
        found = behind(connection, name, "id")
        if found is not None:
            yield f"its sequence {name} is at {found.given}, behind its highest id {found.highest}"
        left = ids_left(connection, name)
        if not _is_enough(connection, old, left):
            yield (
                f"its sequence {name} has {left} ids left, and each old row needs one, and as many "
                "have to be left over for what is written later"
            )


def _is_enough(connection: Connection, old: str, ids: int) -> bool:
    """Whether there are two ids for each row to copy; counted only where that may be too few."""
    rows = _TO_COPY
    if 2 * estimated(connection, sql.SQL(rows).format(old=sql.SQL(old))).rows <= ids:
        return True
    if any(c.name == "legacy_id" for c in read_columns(connection, "omni2.audit_logs")):
        rows += _NOT_COPIED
    enough = ids // 2
    row = connection.execute(
        sql.SQL(_AT_MOST).format(rows=sql.SQL(rows).format(old=sql.SQL(old)), at_most=enough + 1)
    ).fetchone()
    return row is not None and row[0] <= enough
