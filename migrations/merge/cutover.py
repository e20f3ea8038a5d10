"""The moment in which the old name becomes a view of the ledger."""

from __future__ import annotations

from decimal import Decimal

from psycopg import sql

from migrations.legacy import ARCHIVE, Legacy
from migrations.merge.copy import apply_changes
from migrations.merge.statements import Statements
from migrations.merge.watch import unwatch
from omniledger.database import Connection

_TOMBSTONE = """
create or replace function ledger.note_tombstone() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ledger.audit_tombstones (legacy_id) values (old.legacy_id);
    return null;
end
$$
"""

_GRANTS = """
    select
        coalesce(r.rolname, 'public') as grantee,
        a.privilege_type,
        a.is_grantable,
        null::name as column_name
    from pg_class as c
    cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as a
    left join pg_roles as r on a.grantee = r.oid
    where c.oid = to_regclass(%(table)s)
    union all
    select coalesce(r.rolname, 'public'), x.privilege_type, x.is_grantable, a.attname
    from pg_attribute as a
    cross join lateral aclexplode(a.attacl) as x
    left join pg_roles as r on x.grantee = r.oid
    where a.attrelid = to_regclass(%(table)s) and a.attacl is not null
"""

_COMMENTS = """
    select a.attname, col_description(a.attrelid, a.attnum)
    from pg_attribute as a
    where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
    union all
    select null, obj_description(to_regclass(%(table)s), 'pg_class')
"""

_LEDGER_SEQUENCE = "select pg_get_serial_sequence('omni2.audit_logs', 'id')"

_VIEW_PRIVILEGES = {"SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "TRIGGER", "TRUNCATE"}


def cut_over(connection: Connection, statements: Statements, window: Decimal, run_id: int) -> None:
    """Swap the legacy table for the view, in one transaction.

    Locks: ACCESS EXCLUSIVE on the legacy table for the rows that were written since the last
    `apply_changes`, a few milliseconds. Call it through `patiently`.
    """
    legacy = statements.legacy
    with connection.transaction():
        connection.execute(
            sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(legacy.relation))
        )
        apply_changes(connection, statements, window)
        unwatch(connection, legacy)
        grants = connection.execute(_GRANTS, {"table": legacy.relation}).fetchall()
        comments = connection.execute(_COMMENTS, {"table": legacy.relation}).fetchall()
        sequence = _free_sequence(connection, legacy)
        connection.execute(
            sql.SQL("alter table {} set schema ledger").format(sql.SQL(legacy.relation))
        )
        connection.execute(
            sql.SQL("alter table ledger.{} rename to {}").format(
                sql.Identifier("audit_logs"), sql.Identifier(ARCHIVE)
            )
        )
        make_view(connection, legacy, sequence)
        _carry(connection, legacy, grants, comments)
        connection.execute(
            "update ledger.merge_runs set cutover_xid = pg_current_xact_id()::text::bigint"
            " where id = %s",
            (run_id,),
        )


def _free_sequence(connection: Connection, legacy: Legacy) -> sql.Identifier | None:
    """Let the id's sequence keep its name and place when the table moves away."""
    if legacy.sequence is None:
        return None
    sequence = sql.Identifier(*legacy.sequence)
    if legacy.identity:
        # The sequence of an identity column can't outlive it, so one of its name takes its place.
        state = connection.execute(
            sql.SQL("select last_value, is_called from {}").format(sequence)
        ).fetchone()
        connection.execute(
            sql.SQL("alter table {} alter column id drop identity").format(sql.SQL(legacy.relation))
        )
        connection.execute(
            sql.SQL("create sequence {} as {}").format(
                sequence, sql.SQL(legacy.target_type("legacy_id") or "bigint")
            )
        )
        connection.execute("select setval(%s::regclass, %s, %s)", (_text(sequence), *(state or ())))
    else:
        connection.execute(sql.SQL("alter sequence {} owned by none").format(sequence))
    return sequence


def _text(identifier: sql.Identifier) -> str:
    return identifier.as_string(None)


def make_view(connection: Connection, legacy: Legacy, sequence: sql.Identifier | None) -> None:
    """Make the view with the old name, columns, types and defaults.

    Deletes through it leave a tombstone, so that a row which is gone is never taken for lost.
    """
    view = sql.SQL(legacy.relation)
    columns = [
        sql.SQL("{} as {}").format(sql.Identifier(c.target), sql.Identifier(c.name))
        for c in legacy.columns
    ]
    connection.execute(
        sql.SQL(
            "create view {} as select {} from omni2.audit_logs where legacy_id is not null"
        ).format(view, sql.SQL(", ").join(columns))
    )
    defaults: dict[str, sql.Composable] = {
        c.name: sql.SQL(c.default) for c in legacy.columns if c.default
    }
    if sequence is not None:
        defaults["id"] = sql.SQL("nextval({}::regclass)").format(sql.Literal(_text(sequence)))
    for name, value in defaults.items():
        connection.execute(
            sql.SQL("alter view {} alter column {} set default {}").format(
                view, sql.Identifier(name), value
            )
        )
    connection.execute(_TOMBSTONE)
    connection.execute("drop trigger if exists omniledger_tombstone on omni2.audit_logs")
    connection.execute(
        "create trigger omniledger_tombstone after delete on omni2.audit_logs for each row"
        " when (old.legacy_id is not null) execute function ledger.note_tombstone()"
    )


def _carry(
    connection: Connection,
    legacy: Legacy,
    grants: list[tuple[str, str, bool, str | None]],
    comments: list[tuple[str | None, str | None]],
) -> None:
    """Give the view what the table had of rights and comments."""
    view = sql.SQL(legacy.relation)
    ledger_sequence = connection.execute(_LEDGER_SEQUENCE).fetchone()
    for grantee, privilege, is_grantable, column in grants:
        if privilege not in _VIEW_PRIVILEGES:
            continue
        whom = sql.SQL("public") if grantee == "public" else sql.Identifier(grantee)
        connection.execute(
            sql.SQL("grant {}{} on {} to {}{}").format(
                sql.SQL(privilege),
                sql.SQL("") if column is None else sql.SQL(" ({})").format(sql.Identifier(column)),
                view,
                whom,
                sql.SQL(" with grant option" if is_grantable and grantee != "public" else ""),
            )
        )
        # The view's own rights cover the ledger, but not the sequence of its ids.
        if privilege == "INSERT" and ledger_sequence and ledger_sequence[0]:
            connection.execute(
                sql.SQL("grant usage on sequence {} to {}").format(
                    sql.SQL(ledger_sequence[0]), whom
                )
            )
    for column, text in comments:
        if text is None:
            continue
        on = (
            sql.SQL("view {}").format(view)
            if column is None
            else sql.SQL("column {}.{}").format(view, sql.Identifier(column))
        )
        connection.execute(sql.SQL("comment on {} is {}").format(on, sql.Literal(text)))
