"""Foreign keys of other tables to old rows, which go on on the ledger's column of the old id."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import LiteralString, cast

from psycopg import errors, sql

from migrations.gateway import LEDGER
from migrations.references import CHECKS_PARTITIONS_LATER
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.explaining import first_line

_log = logging.getLogger("omniledger.merge")

_REFERENCING = """
    select
        k.conrelid::regclass::text,
        k.conname,
        a.attname,
        regexp_replace(
            pg_get_constraintdef(k.oid), '^.* REFERENCES [^(]+[(][^)]*[)]| NOT VALID$', '', 'g'
        ),
        c.relkind = 'p'
    from pg_constraint as k
    inner join pg_class as c on k.conrelid = c.oid
    inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = k.conkey[1]
    inner join pg_attribute as r on k.confrelid = r.attrelid and r.attnum = k.confkey[1]
    where
        k.confrelid = to_regclass(%s)
        and k.contype = 'f'
        and k.conparentid = 0
        and r.attname = %s
    order by 1, 2
"""

_HELD = """
    select string_agg(q.legacy_id::text, ', ' order by q.legacy_id)
    from ledger.audit_quarantine as q
    where exists (select from {table} as t where t.{column} = q.legacy_id)
"""


@dataclass(frozen=True)
class Reference:
    """A foreign key of another table to an old id."""

    table: str
    name: str
    column: str
    actions: str
    is_partitioned: bool

    def point_to(self, connection: Connection, target: sql.Composable) -> None:
        """Let it reference `target`, a table and its column, without looking at its rows yet.

        They are looked at where the table is partitioned and the server can't put that off: on the
        way back alone, for such a key is none that a merge carries there.
        """
        is_put_off = (
            not self.is_partitioned or connection.info.server_version >= CHECKS_PARTITIONS_LATER
        )
        connection.execute(
            sql.SQL(
                "alter table {table} drop constraint {name}, add constraint {name}"
                " foreign key ({column}) references {target}{actions}{not_valid}"
            ).format(
                table=sql.SQL(self.table),
                name=sql.Identifier(self.name),
                column=sql.Identifier(self.column),
                target=target,
                actions=sql.SQL(self.actions),
                not_valid=sql.SQL(" not valid" if is_put_off else ""),
            )
        )


def references(connection: Connection, relation: str, column: str) -> list[Reference]:
    """The foreign keys that reference a column of a table."""
    rows = connection.execute(_REFERENCING, (relation, column)).fetchall()
    return [Reference(*row) for row in rows]


def require_none_quarantined(connection: Connection, referring: list[Reference]) -> None:
    """Refuse to cut over while somebody references a row that the ledger can't hold.

    Raises:
        NotReadyError: it names the rows.
    """
    for reference in referring:
        if ids := _ids(connection, _HELD, reference):
            raise NotReadyError(
                f"{reference.table} references old rows that the ledger can't hold, with the ids "
                f"{ids}: mend those rows in the old table (ledger.audit_quarantine says what is "
                "wrong with each), and run the command again."
            )


def _ids(connection: Connection, query: LiteralString, reference: Reference) -> str | None:
    """What a query about rows behind a reference says of them; NULL where there are none."""
    [(ids,)] = connection.execute(_about(query, reference)).fetchall()
    return cast("str | None", ids)


def _about(query: LiteralString, reference: Reference) -> sql.Composed:
    return sql.SQL(query).format(
        table=sql.SQL(reference.table), column=sql.Identifier(reference.column)
    )


_BOUND = """
    select array_to_string((array_agg(distinct a.id::text))[:3], ', ')
    from {table} as t
    inner join omni2.audit_logs as a on t.{column} = a.id
    where
        a.legacy_id is not null
        and not exists (select from ledger.audit_matches as k where k.audit_id = a.id)
"""


def require_none_bound(connection: Connection) -> None:
    """Refuse to take rows out of the ledger to which another table refers by the ledger's own id.

    Those rows would go with them, or lose what they refer to, without a word.

    Raises:
        NotReadyError: it names the table and the first rows.
    """
    for reference in references(connection, LEDGER, "id"):
        if ids := _ids(connection, _BOUND, reference):
            raise NotReadyError(
                f"{reference.table} references rows of {LEDGER} that go back to the old table, the "
                f"first with the ids {ids}: delete what does in {reference.table}, or "
                "let it reference others, and run the command again."
            )


_COPIES = "select from omni2.audit_logs where legacy_id = any(%(ids)s) for update"

_BOUND_COPIES = """
    select a.legacy_id
    from omni2.audit_logs as a
    where
        a.legacy_id = any(%(ids)s)
        and a.source_system = 'legacy'
        and exists (select from {table} as t where t.{column} = a.id)
"""

_MAY_READ = "select has_table_privilege(%s, 'select')"


def bound_copies(connection: Connection, ids: list[int]) -> list[int]:
    """Those of some old ids whose copies another table references by the ledger's own id.

    Args:
        connection: inside a transaction, until whose end none other is referenced.
    """
    readable = [
        reference
        for reference in references(connection, LEDGER, "id")
        if connection.execute(_MAY_READ, (reference.table,)).fetchone() == (True,)
    ]
    if readable:
        # A reference that is not committed yet holds the row that it names.
        connection.execute(_COPIES, {"ids": ids})
    bound: set[int] = set()
    for reference in readable:
        rows = connection.execute(_about(_BOUND_COPIES, reference), {"ids": ids})
        bound.update(id_ for (id_,) in rows)
    return sorted(bound)


def validate(connection: Connection, relation: str, column: str) -> None:
    """Check the rows of the references that were pointed to another table, while others write.

    One that was never checked, and does not hold, stays as it was: it holds for what is new. The
    server refuses to check one that isn't enforced.
    """
    for reference in references(connection, relation, column):
        if "NOT ENFORCED" in reference.actions:
            continue
        name = sql.Identifier(reference.name)
        try:
            connection.execute(
                sql.SQL("alter table {} validate constraint {}").format(
                    sql.SQL(reference.table), name
                )
            )
        except errors.ForeignKeyViolation as error:
            _log.warning("%s of %s: %s", reference.name, reference.table, first_line(error))
