"""The way back: both tables under their names, each row where its system would have written it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from migrations.legacy import ARCHIVE, Legacy
from migrations.merge import (
    dependents,
    derived,
    foreign_keys,
    identity,
    indexes,
    lending,
    referring,
    room,
    triggers,
)
from migrations.merge.copy import forget
from migrations.merge.labels import Changed
from migrations.merge.record import WRITTEN_SINCE, Done
from migrations.merge.statements import Statements
from migrations.merge.watch import unwatch_ledger
from omniledger.database import Connection
from omniledger.errors import NotReadyError

_FRESH = """
insert into {archive} ({names}) overriding system value
select {values}
from omni2.audit_logs as a
where a.legacy_id is not null and {since}
"""

# What is in quarantine was never in the ledger: a tombstone of its id is another row's.
_STALE = """
delete from {archive} as l
where
    exists (select from ledger.audit_tombstones as t where t.legacy_id = l.id)
    and ({complaint} is null or l.id not in (select q.legacy_id from ledger.audit_quarantine as q))
    or exists (
        select from omni2.audit_logs as a
        where a.legacy_id = l.id and {since}
    )
"""


# Of what was written since there may be rows in quarantine, too, which are in the ledger as well.
_USED_AGAIN = """
    select string_agg(a.legacy_id::text, ', ' order by a.legacy_id)
    from ledger.audit_quarantine as q
    inner join ledger.audit_logs_legacy as l on q.legacy_id = l.id
    inner join omni2.audit_logs as a on q.legacy_id = a.legacy_id
    where a.source_system = 'chat'
"""

_NAMELESS = """
    select case c.relreplident when 'n' then 'nothing' else 'default' end
    from pg_class as c
    where
        c.oid = to_regclass(%s)
        and (
            c.relreplident = 'n'
            or c.relreplident = 'd'
            and not exists (
                select from pg_index as i where c.oid = i.indrelid and i.indisprimary
            )
        )
"""

_FIRING = """
    select
        tgname,
        case tgenabled
            when 'A' then 'enable always' when 'R' then 'enable replica' else 'enable'
        end
    from pg_trigger
    where tgrelid = to_regclass(%s) and not tgisinternal and tgenabled <> 'D'
"""


def put_back(connection: Connection, done: Done) -> None:
    """Undo the merge, in one transaction.

    Rows written through the old name since the cut over are brought into the old table: they are
    read from the ledger, and replace what the archive had under their ids.

    Locks: ACCESS EXCLUSIVE on the old name and on `omni2.audit_logs` for as long as it takes to
    bring over the rows written since and to delete the merged ones: nobody reads or writes then.
    """
    legacy = done.legacy
    statements = Statements(legacy, archived=legacy.has_table)
    with connection.transaction():
        # The view first and the ledger below it, in the order in which writers lock them.
        connection.execute(
            sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(legacy.relation))
        )
        if not legacy.has_table:
            _make_table(connection, legacy)
        require_no_id_twice(connection, legacy)
        referring.require_none_bound(connection)
        archive = statements.archive
        since, values = WRITTEN_SINCE, done.values()
        connection.execute(statements.leave_rewritten(since), values)
        triggers.drop(connection)
        derived.drop(connection)
        indexes.drop(connection)
        silenced = _silence(connection)
        stored = [column for column in legacy.columns if not column.generated]
        fresh = sql.SQL(_FRESH).format(
            archive=archive,
            since=since,
            names=sql.SQL(", ").join(sql.Identifier(c.name) for c in stored),
            values=sql.SQL(", ").join(sql.SQL("a.") + sql.Identifier(c.target) for c in stored),
        )
        with _rows_named(connection), foreign_keys.unchecked(connection, archive):
            stale = sql.SQL(_STALE).format(
                archive=archive, complaint=statements.complaint, since=since
            )
            connection.execute(stale, values)
            connection.execute(fresh, values)
        _let_fire(connection, silenced)
        # Before the merged rows go, or a reference would hold them, or take its own rows along.
        for reference in referring.references(connection, "omni2.audit_logs", "legacy_id"):
            reference.point_to(connection, sql.SQL("{} (id)").format(archive))
        unwatch_ledger(connection)
        room.give_back(connection)
        forget(connection, statements, sql.SQL("true"), {})
        connection.execute("delete from omni2.audit_logs where legacy_id is not null")
        foreign_keys.drop(connection)
        lending.take_back(connection)
        rights = Changed.read(connection, archive.as_string(connection), legacy.relation)
        with dependents.carried(connection, legacy.relation):
            connection.execute(sql.SQL("drop view {}").format(sql.SQL(legacy.relation)))
            _restore(connection, legacy)
        rights.follow(connection, legacy.relation)
        for table in ("audit_quarantine", "audit_tombstones", "audit_merge_changes"):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier("ledger", table)))


def require_no_id_twice(connection: Connection, legacy: Legacy) -> None:
    """Refuse to put rows in the place of old ones in quarantine, whose ids somebody gave them.

    Raises:
        NotReadyError: it names the ids.
    """
    row = connection.execute(_USED_AGAIN).fetchone()
    if row is not None and row[0] is not None:
        raise NotReadyError(
            f"Rows of the old table that are in quarantine have the ids {row[0]}, which other rows "
            f"were given since, and both can't go back: give those rows of {legacy.relation} other "
            "ids and run the command again; no row was moved."
        )


@contextmanager
def _rows_named(connection: Connection) -> Iterator[None]:
    """Let rows leave a table that has nothing to name them by, which a publication may have."""
    name = sql.Identifier("ledger", ARCHIVE)
    nameless = connection.execute(_NAMELESS, (name.as_string(connection),)).fetchall()
    for _ in nameless:
        connection.execute(sql.SQL("alter table {} replica identity full").format(name))
    yield
    for (before,) in nameless:
        connection.execute(
            sql.SQL("alter table {} replica identity {}").format(name, sql.SQL(before))
        )


def _silence(connection: Connection) -> list[tuple[str, str]]:
    """Let the old table's own triggers rest while rows come back that they have seen already."""
    fired = connection.execute(_FIRING, (f"ledger.{ARCHIVE}",)).fetchall()
    for name, _ in fired:
        _switch(connection, "disable", name)
    return [(name, how) for name, how in fired]


def _let_fire(connection: Connection, silenced: list[tuple[str, str]]) -> None:
    for name, how in silenced:
        _switch(connection, how, name)


def _switch(connection: Connection, how: str, trigger: str) -> None:
    connection.execute(
        sql.SQL("alter table ledger.{} {} trigger {}").format(
            sql.Identifier(ARCHIVE), sql.SQL(how), sql.Identifier(trigger)
        )
    )


def _make_table(connection: Connection, legacy: Legacy) -> None:
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in legacy.columns
    ]
    connection.execute(
        sql.SQL("create table {} ({}, primary key (id))").format(
            sql.Identifier("ledger", ARCHIVE), sql.SQL(", ").join(columns)
        )
    )


def _restore(connection: Connection, legacy: Legacy) -> None:
    schema = sql.Identifier(legacy.schema)
    table = sql.SQL(legacy.relation)
    connection.execute(
        sql.SQL("alter table ledger.{} rename to audit_logs").format(sql.Identifier(ARCHIVE))
    )
    connection.execute(sql.SQL("alter table ledger.audit_logs set schema {}").format(schema))
    if not legacy.has_table:
        connection.execute(
            sql.SQL("alter table {} alter column id set default nextval({}::regclass)").format(
                table, sql.Literal(sql.Identifier(*legacy.made_sequence).as_string(None))
            )
        )
    if legacy.sequence is None:
        return
    sequence = sql.Identifier(*legacy.sequence)
    if legacy.identity:
        identity.restore(connection, table, sequence, legacy.identity)
    else:
        connection.execute(sql.SQL("alter sequence {} owned by {}.id").format(sequence, table))
