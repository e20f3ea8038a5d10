"""Note, from now on, which old rows are written while they are copied, and which copies go."""

from psycopg import sql

from migrations.legacy import Legacy
from migrations.merge.statements import LEAVE_REWRITTEN
from migrations.triggers import make_trigger
from omniledger.database import Connection

_LEDGER = "omni2.audit_logs"

TRIGGER = "omniledger_watch"
_EMPTIED = "omniledger_watch_emptied"
"""Of both tables: what TRUNCATE takes is read just before."""

_REWRITTEN = "omniledger_watch_rewritten"

TOMBSTONE = "omniledger_tombstone"
MOVED = "omniledger_tombstone_moved"
"""The triggers for rows that go, and for those that get another old id, or none."""

_FUNCTION = """
create or replace function ledger.{name}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    {notes}
    return null;
end
$$
"""

_NOTES = {
    "note_legacy_change": """if tg_op <> 'INSERT' then
        insert into ledger.audit_merge_changes (legacy_id) values (old.id);
    end if;
    if tg_op = 'INSERT' or tg_op = 'UPDATE' and new.id <> old.id then
        insert into ledger.audit_merge_changes (legacy_id) values (new.id);
    end if;""",
    "note_legacy_emptied": """execute format(
        'insert into ledger.audit_merge_changes (legacy_id) select id from %I.%I',
        tg_table_schema, tg_table_name
    );""",
    "note_ledger_emptied": """insert into ledger.audit_merge_changes (legacy_id)
    select a.legacy_id
    from omni2.audit_logs as a
    where a.legacy_id is not null
    union
    select m.legacy_id
    from ledger.audit_matches as m;""",
    "note_tombstone": "insert into ledger.audit_tombstones (legacy_id) values (old.legacy_id);",
}
"""What the function of each trigger writes down."""

_NOTE_REWRITTEN = f"{LEAVE_REWRITTEN} where k.legacy_id = new.legacy_id;"

_WATCHING = f"""
    select count(*)
    from pg_trigger
    where
        tgenabled = 'A'
        and (
            tgrelid = to_regclass(%(old)s) and tgname in ('{TRIGGER}', '{_EMPTIED}')
            or tgrelid = to_regclass(%(ledger)s)
            and tgname in ('{TOMBSTONE}', '{MOVED}', '{_EMPTIED}', '{_REWRITTEN}')
        )
"""  # noqa: S608 (no value of anybody's in it)
_WATCHERS = 6


def watch(connection: Connection, legacy: Legacy) -> None:
    """Hang the triggers on the legacy table."""
    table = legacy.relation
    with connection.transaction():
        _hang(connection, TRIGGER, table, "after insert or update or delete", "note_legacy_change")
        _hang(connection, _EMPTIED, table, "before truncate", "note_legacy_emptied")


def is_watched(connection: Connection, legacy: Legacy) -> bool:
    """Whether both tables are watched, and were all along.

    Who disables triggers for a while, as a load of data does, leaves them enabled otherwise than
    they were made.
    """
    row = connection.execute(_WATCHING, {"old": legacy.relation, "ledger": _LEDGER}).fetchone()
    return row is not None and row[0] == _WATCHERS


def unwatch(connection: Connection, legacy: Legacy) -> None:
    """Take them off again."""
    for trigger in (TRIGGER, _EMPTIED):
        connection.execute(f"drop trigger if exists {trigger} on {legacy.relation}".encode())
    connection.execute(
        "drop function if exists ledger.note_legacy_change, ledger.note_legacy_emptied"
    )


def watch_merged(connection: Connection, legacy: Legacy) -> None:
    """Watch the rows of the ledger that have an old id, until the cut over.

    After a TRUNCATE all of them are brought over again; and what the gateway writes over what its
    row gained is its own from then on, and no match that is undone takes it away.
    """
    gained = {"llm_tokens_used", *legacy.places}
    # As they are stored, for not every type knows what is equal.
    rewritten = [
        sql.SQL("case when not record_image_eq(row(old.{0}), row(new.{0})) then {1} end").format(
            sql.Identifier(name), sql.Literal(name)
        )
        for name in sorted(gained)
    ]
    update = sql.SQL(_NOTE_REWRITTEN).format(rewritten=sql.SQL(", ").join(rewritten))
    notes = update.as_string(connection)
    matched = "old.source_system = 'gateway' and old.legacy_id = new.legacy_id"
    with connection.transaction():
        _hang(connection, _EMPTIED, _LEDGER, "before truncate", "note_ledger_emptied")
        _hang(connection, _REWRITTEN, _LEDGER, "after update", "note_rewritten", matched, notes)


def unwatch_merged(connection: Connection) -> None:
    """Let a TRUNCATE be one again: after the cut over it takes old rows too."""
    with connection.transaction():
        for trigger in (_EMPTIED, _REWRITTEN):
            connection.execute(f"drop trigger if exists {trigger} on {_LEDGER}".encode())
        connection.execute(
            "drop function if exists ledger.note_ledger_emptied, ledger.note_rewritten"
        )


def watch_ledger(connection: Connection) -> None:
    """Let each row of the ledger that has an old id leave a tombstone when that id goes.

    Until the cut over a tombstone is one more change to apply: the old row is still there, and is
    brought over again. From then on it says that a row which is gone was not lost.
    """
    gone = "old.legacy_id is not null"
    moved = f"{gone} and new.legacy_id is distinct from old.legacy_id"
    with connection.transaction():
        _hang(connection, TOMBSTONE, _LEDGER, "after delete", "note_tombstone", gone)
        _hang(connection, MOVED, _LEDGER, "after update", "note_tombstone", moved)


def unwatch_ledger(connection: Connection) -> None:
    """Let rows of the ledger go without a trace again."""
    unwatch_merged(connection)
    with connection.transaction():
        for trigger in (TOMBSTONE, MOVED):
            connection.execute(f"drop trigger if exists {trigger} on {_LEDGER}".encode())
        connection.execute("drop function if exists ledger.note_tombstone")


def _hang(
    connection: Connection,
    trigger: str,
    table: str,
    event: str,
    function: str,
    condition: str | None = None,
    notes: str | None = None,
) -> None:
    """Make a trigger and its function, of each row but where the event has none.

    Args:
        notes: what the function does, where it isn't the same for every old table.
    """
    each = "statement" if event.endswith("truncate") else "row"
    when = f" when ({condition})" if condition else ""
    body = _FUNCTION.format(name=function, notes=notes or _NOTES[function])
    connection.execute(body.encode())
    connection.execute(
        make_trigger(
            trigger,
            table,
            f"{event} on {table} for each {each}{when} execute function ledger.{function}()",
        ).encode()
    )
