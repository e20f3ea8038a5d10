"""Indexes of the legacy table that are built anew on the ledger: keys, and what it did not know.

The ledger's own indexes serve what is usually asked. These serve a search column, an expression, or
a time that keeps a type of its own; and the unique ones refuse what they refused, and are what
`on conflict` through the old name goes by (see `migrations.keys`).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from migrations.identifiers import shortened
from migrations.indexing import build_concurrently
from migrations.keys import KEY_COLUMNS
from migrations.legacy import ADDED_COLUMNS, GATEWAY_COLUMNS, Legacy
from migrations.memory import forget, note, noted
from omniledger.database import Connection

_PREFIX = "omniledger_carried_"
_NOTED = "carried_indexes"

# What follows USING speaks of no table; without a search path every name in it is written in full.
_INDEXES = f"""
    select
        c.relname,
        i.indisunique,
        substr(
            pg_get_indexdef(i.indexrelid),
            length(
                format(
                    'CREATE %%sINDEX %%I ON %%I.%%I USING ',
                    case when i.indisunique then 'UNIQUE ' else '' end,
                    c.relname, n.nspname, t.relname
                )
            ) + 1
        ),
        i.indexprs is not null,
        i.indpred is not null,
        {KEY_COLUMNS}
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_class as t on i.indrelid = t.oid
    inner join pg_namespace as n on t.relnamespace = n.oid
    where i.indrelid = to_regclass(%s) and i.indisvalid
    order by c.relname
"""  # noqa: S608 (no value of anybody's in it)

_OURS = r"""
    select c.relname
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    where i.indrelid = 'omni2.audit_logs'::regclass and c.relname like 'omniledger\_carried\_%%'
"""

_SCRATCH = sql.Identifier("ledger", "omniledger_scratch")


@dataclass(frozen=True)
class _Index:
    name: str
    is_unique: bool
    definition: str
    has_expression: bool
    has_condition: bool
    columns: list[str]

    def is_needed(self, legacy: Legacy) -> bool:
        """Whether none of the ledger's own indexes does what this one does."""
        if self.is_unique:
            return self.columns != ["id"]
        targets = {column.name: column.target for column in legacy.columns}
        known = {"legacy_id", "legacy_user_id", *ADDED_COLUMNS, *GATEWAY_COLUMNS}
        return self.has_expression or not known.issuperset(targets[c] for c in self.columns)

    @property
    def of_old_rows(self) -> str:
        """Its definition, of the old name's rows alone, where it need not be found by its key."""
        if self.is_unique:
            return self.definition
        return f"{self.definition} {'and' if self.has_condition else 'where'} id is not null"


def carry(connection: Connection, legacy: Legacy) -> None:
    """Build them while others write; one that a kill left broken is built anew.

    Args:
        connection: outside of any transaction.

    Raises:
        UniqueViolation: what was brought over so far is not of one moment; it has to catch up.
    """
    for name, create in _statements(connection, legacy).items():
        note(connection, _NOTED, name, create)
        build_concurrently(connection, sql.Identifier("omni2", name), sql.SQL(create))


def begin_anew(connection: Connection, legacy: Legacy) -> None:
    """Drop what an earlier try built that rows on their way could break, or that isn't wanted now.

    Args:
        connection: outside of any transaction.
    """
    earlier = built(connection)
    wanted = _statements(connection, legacy) if earlier else {}
    for name, create in earlier.items():
        if create.startswith("create unique") or wanted.get(name) != create:
            drop = sql.SQL("drop index concurrently if exists {}")
            connection.execute(drop.format(sql.Identifier("omni2", name)))
            forget(connection, _NOTED, name)


def _statements(connection: Connection, legacy: Legacy) -> dict[str, str]:
    """What builds each on the ledger, by its name there.

    The server itself writes them in the ledger's names: the columns of an empty copy are renamed.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("set local search_path = ''")
        found = [_Index(*row) for row in connection.execute(_INDEXES.encode(), (legacy.relation,))]
        names = {
            shortened(f"{_PREFIX}{index.name}"): index for index in found if index.is_needed(legacy)
        }
        connection.execute(
            sql.SQL("create table {} (like {})").format(_SCRATCH, sql.SQL(legacy.relation))
        )
        for name, index in names.items():
            connection.execute(
                sql.SQL("create {}index {} on {} using {}").format(
                    sql.SQL("unique " if index.is_unique else ""),
                    sql.Identifier(name),
                    _SCRATCH,
                    sql.SQL(index.of_old_rows),
                )
            )
        # First away from names that another column may get.
        for number, column in enumerate(legacy.columns):
            _rename(connection, column.name, f"omniledger_{number}")
        for number, column in enumerate(legacy.columns):
            _rename(connection, f"omniledger_{number}", column.target)
        made = connection.execute(_INDEXES.encode(), (_SCRATCH.as_string(connection),)).fetchall()
    return {
        index.name: f"create {'unique ' if index.is_unique else ''}index concurrently "
        f"{sql.Identifier(index.name).as_string(connection)} on omni2.audit_logs"
        f" using {index.definition}"
        for index in (_Index(*row) for row in made)
    }


def _rename(connection: Connection, name: str, new: str) -> None:
    if name != new:
        connection.execute(
            sql.SQL("alter table {} rename column {} to {}").format(
                _SCRATCH, sql.Identifier(name), sql.Identifier(new)
            )
        )


def built(connection: Connection) -> dict[str, str]:
    """What was built, by its name: the statement that builds it."""
    return noted(connection, _NOTED)


def drop(connection: Connection) -> None:
    """Take them off again."""
    for (name,) in connection.execute(_OURS).fetchall():
        connection.execute(sql.SQL("drop index {}").format(sql.Identifier("omni2", name)))
    connection.execute("delete from ledger.settings where name = %s", (_NOTED,))
