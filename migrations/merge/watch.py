"""Note, from now on, which rows of the legacy table are written while it is being copied."""

from psycopg import sql

from migrations.legacy import Legacy
from omniledger.database import Connection

TRIGGER = "omniledger_watch"

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


def watch(connection: Connection, legacy: Legacy) -> None:
    """Hang the trigger on the legacy table."""
    name, table = sql.Identifier(TRIGGER), sql.SQL(legacy.relation)
    with connection.transaction():
        connection.execute(_FUNCTION)
        connection.execute(sql.SQL("drop trigger if exists {} on {}").format(name, table))
        connection.execute(
            sql.SQL(
                "create trigger {} after insert or update or delete on {}"
                " for each row execute function ledger.note_legacy_change()"
            ).format(name, table)
        )


def unwatch(connection: Connection, legacy: Legacy) -> None:
    """Take the trigger off again."""
    connection.execute(
        sql.SQL("drop trigger if exists {} on {}").format(
            sql.Identifier(TRIGGER), sql.SQL(legacy.relation)
        )
    )
    connection.execute("drop function if exists ledger.note_legacy_change")
