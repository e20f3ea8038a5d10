"""Note, from now on, which old rows are written while they are copied, and which copies go."""

from migrations.ddl import make_trigger
from migrations.legacy import Legacy
from omniledger.database import Connection

TRIGGER = "omniledger_watch"
_EMPTIED = "omniledger_watch_emptied"
"""Of both tables: what TRUNCATE takes is read just before."""

_FUNCTION = """
create or replace function ledger.note_legacy_change() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op <> 'INSERT' then
        insert into ledger.audit_merge_changes (legacy_id) values (old.id);
    end if;
    if tg_op = 'INSERT' or tg_op = 'UPDATE' and new.id <> old.id then
        insert into ledger.audit_merge_changes (legacy_id) values (new.id);
    end if;
    return null;
end
$$
"""

_LEGACY_EMPTIED = """
create or replace function ledger.note_legacy_emptied() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'insert into ledger.audit_merge_changes (legacy_id) select id from %I.%I',
        tg_table_schema, tg_table_name
    );
    return null;
end
$$;
"""

_LEDGER_EMPTIED = """
create or replace function ledger.note_ledger_emptied() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ledger.audit_merge_changes (legacy_id)
    select a.legacy_id
    from omni2.audit_logs as a
    where a.legacy_id is not null
    union
    select m.legacy_id
    from ledger.audit_matches as m;
    return null;
end
$$;
"""

_TOMBSTONE_TRIGGER = "omniledger_tombstone"

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


def watch(connection: Connection, legacy: Legacy) -> None:
    """Hang the triggers on the legacy table."""
    table = legacy.relation
    with connection.transaction():
        connection.execute(_FUNCTION)
        connection.execute(_LEGACY_EMPTIED)
        connection.execute(_when_emptied(table, "note_legacy_emptied"))
        connection.execute(
            make_trigger(
                TRIGGER,
                table,
                f"after insert or update or delete on {table}"
                " for each row execute function ledger.note_legacy_change()",
            ).encode()
        )


def unwatch(connection: Connection, legacy: Legacy) -> None:
    """Take them off again."""
    for trigger in (TRIGGER, _EMPTIED):
        connection.execute(f"drop trigger if exists {trigger} on {legacy.relation}".encode())
    connection.execute(
        "drop function if exists ledger.note_legacy_change, ledger.note_legacy_emptied"
    )


def watch_emptied(connection: Connection) -> None:
    """Let all rows of the ledger that have an old id be brought over again after a TRUNCATE."""
    with connection.transaction():
        connection.execute(_LEDGER_EMPTIED)
        connection.execute(_when_emptied("omni2.audit_logs", "note_ledger_emptied"))


def unwatch_emptied(connection: Connection) -> None:
    """Let a TRUNCATE be one again: after the cut over it takes old rows too."""
    with connection.transaction():
        connection.execute(f"drop trigger if exists {_EMPTIED} on omni2.audit_logs".encode())
        connection.execute("drop function if exists ledger.note_ledger_emptied")


def _when_emptied(table: str, function: str) -> bytes:
    return make_trigger(
        _EMPTIED,
        table,
        f"before truncate on {table} for each statement execute function ledger.{function}()",
    ).encode()


def watch_ledger(connection: Connection) -> None:
    """Let each row of the ledger that has an old id leave a tombstone when it is deleted.

    Until the cut over a tombstone is one more change to apply: the old row is still there, and is
    brought over again. From then on it says that a row which is gone was not lost.
    """
    with connection.transaction():
        connection.execute(_TOMBSTONE)
        connection.execute(
            make_trigger(
                _TOMBSTONE_TRIGGER,
                "omni2.audit_logs",
                "after delete on omni2.audit_logs for each row"
                " when (old.legacy_id is not null) execute function ledger.note_tombstone()",
            ).encode()
        )


def unwatch_ledger(connection: Connection) -> None:
    """Let rows of the ledger go without a trace again."""
    unwatch_emptied(connection)
    with connection.transaction():
        connection.execute(
            f"drop trigger if exists {_TOMBSTONE_TRIGGER} on omni2.audit_logs".encode()
        )
        connection.execute("drop function if exists ledger.note_tombstone")
