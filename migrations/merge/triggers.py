"""The legacy table's own triggers, which go on working for what is written through the old name.

A trigger function of the legacy table speaks of its columns by their old names, so it can't stand
on the ledger itself, and INSTEAD OF triggers on the old name would cost it what an auto-updatable
view has: row locks, ON CONFLICT, rights of the view's owner. So each such trigger gets a mould, a
view `ledger.trigger_NAME` with the old columns and no rows, on which the function hangs as an
INSTEAD OF trigger. A trigger on the ledger, for rows that the old name shows, pours the row into
the mould and takes back what the function made of it. Nothing is stored, and the function runs as
the writer, with the writer's search path, as it always did.
"""

from __future__ import annotations

from psycopg import sql

from migrations.identifiers import shortened
from migrations.legacy import Carried, Legacy
from migrations.merge.labels import Labels, role
from migrations.merge.lending import lend_usage
from migrations.merge.statements import LEDGER
from migrations.triggers import Trigger
from omniledger.database import Connection

_ROW_TYPE = sql.Identifier("ledger", "legacy_row")
_PREFIX = "omniledger_carried_"
_SHOWN = {
    "insert": "new.legacy_id is not null and new.source_system <> 'legacy'",
    "update": "old.legacy_id is not null and new.legacy_id is not null",
    "delete": "old.legacy_id is not null",
}

_FUNCTION = """
create or replace function {function}() returns trigger
language plpgsql
as $omniledger$
#variable_conflict use_column
begin
    {body}
    return {result};
end
$omniledger$
"""

_OURS = r"""
    select t.tgname, 'omni2.audit_logs', t.tgfoid::regprocedure::text
    from pg_trigger as t
    where t.tgrelid = 'omni2.audit_logs'::regclass and t.tgname like 'omniledger\_carried\_%%'
"""

_MOULDS = r"""
    select c.oid::regclass::text
    from pg_class as c
    where
        c.relnamespace = 'ledger'::regnamespace
        and c.relkind = 'v'
        and c.relname like 'trigger\_%%'
"""


def carry(connection: Connection, legacy: Legacy, triggers: list[Trigger], labels: Labels) -> None:
    """Hang the legacy table's triggers on the ledger, inside the transaction of the cut over."""
    if not triggers:
        return
    if any(not trigger.keeps_search for trigger in triggers):
        fields = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in legacy.columns
        )
        connection.execute(sql.SQL("create type {} as ({})").format(_ROW_TYPE, fields))
    for trigger in triggers:
        if trigger.keeps_search:
            _hang_search(connection, legacy, trigger)
        else:
            _make_mould(connection, trigger, labels)
            for event in trigger.events:
                _hang(connection, legacy, trigger, event)


def drop(connection: Connection) -> None:
    """Take the carried triggers off again, and their moulds."""
    for name, table, function in connection.execute(_OURS).fetchall():
        connection.execute(
            sql.SQL("drop trigger {} on {}").format(sql.Identifier(name), sql.SQL(table))
        )
        if function.startswith("ledger."):
            connection.execute(sql.SQL("drop function {}").format(sql.SQL(function)))
    for (mould,) in connection.execute(_MOULDS).fetchall():
        connection.execute(sql.SQL("drop view {}").format(sql.SQL(mould)))
    connection.execute(sql.SQL("drop type if exists {}").format(_ROW_TYPE))


def _hang_search(connection: Connection, legacy: Legacy, trigger: Trigger) -> None:
    """The server's own search triggers name their columns, so they get the ledger's names."""
    targets = {column.name: column.target for column in legacy.columns}
    is_name = [True, trigger.function.endswith("_column"), *[True] * len(trigger.arguments)]
    arguments = [
        sql.Literal(targets[argument] if named else argument)
        for argument, named in zip(trigger.arguments, is_name, strict=False)
    ]
    call = sql.SQL("{}({})").format(sql.SQL(trigger.function), sql.SQL(", ").join(arguments))
    for event in trigger.events:
        _create(connection, legacy, trigger, event, call)


def _make_mould(connection: Connection, trigger: Trigger, labels: Labels) -> None:
    mould = _mould(trigger)
    # The row that an UPDATE or a DELETE finds in the mould is the one that the caller put there.
    connection.execute(
        sql.SQL(
            "create view {} as select (o.row).* from (select nullif("
            "current_setting('omniledger.old_row', true), '')::{} as row offset 0) as o"
        ).format(mould, _ROW_TYPE)
    )
    connection.execute(
        sql.SQL("comment on view {} is {}").format(
            mould,
            sql.Literal(
                f"The mould of the old trigger {trigger.name}: its function hangs on it, and "
                "rows of the old name are poured through it. It holds nothing."
            ),
        )
    )
    connection.execute(
        sql.SQL(
            "create trigger {} instead of {} on {} for each row execute function {}({})"
        ).format(
            sql.Identifier(trigger.name),
            sql.SQL(" or ".join(trigger.events)),
            mould,
            sql.SQL(trigger.function),
            sql.SQL(", ").join(map(sql.Literal, trigger.arguments)),
        )
    )
    writers = labels.holders("INSERT", "UPDATE", "DELETE")
    lend_usage(connection, "schema", "ledger", writers)
    for writer in writers:
        connection.execute(
            sql.SQL("grant select, insert, update, delete on {} to {}").format(mould, role(writer))
        )


def _mould(trigger: Trigger) -> sql.Identifier:
    return sql.Identifier("ledger", shortened(f"trigger_{trigger.name}"))


def _hang(connection: Connection, legacy: Legacy, trigger: Trigger, event: str) -> None:
    function = sql.Identifier("ledger", shortened(f"carried_{event}_{trigger.name}"))
    result = sql.SQL("old" if event == "delete" else "new")
    body = sql.SQL("\n    ").join(
        [
            _only_writers(trigger, result),
            *_only_when(legacy, trigger, event, result),
            *_poured(legacy, trigger, event),
        ]
    )
    connection.execute(sql.SQL(_FUNCTION).format(function=function, body=body, result=result))
    _create(connection, legacy, trigger, event, sql.SQL("{}()").format(function))


def _only_writers(trigger: Trigger, result: sql.Composable) -> sql.Composable:
    """Who might not write the old table has no part in its triggers, nor the rights for them.

    That is a gateway with a role of its own, which changes a row that both systems logged.
    """
    return sql.SQL(
        "if not (case when has_schema_privilege('ledger', 'usage')"
        " then has_table_privilege({}, 'insert, update, delete') else false end)"
        " then return {}; end if;"
    ).format(sql.Literal(_mould(trigger).as_string(None)), result)


def _only_when(
    legacy: Legacy, trigger: Trigger, event: str, result: sql.Composable
) -> list[sql.Composable]:
    if not trigger.condition:
        return []
    sides = {"insert": ["new"], "update": ["old", "new"], "delete": ["old"]}[event]
    rows = [
        sql.SQL("(select {}) as {}").format(_named(legacy, side), sql.SQL(side)) for side in sides
    ]
    return [
        sql.SQL("if (select {} from {}) is not true then return {}; end if;").format(
            sql.SQL(trigger.condition), sql.SQL(", ").join(rows), result
        )
    ]


def _named(legacy: Legacy, side: str) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("{} as {}").format(_field(side, c), sql.Identifier(c.name)) for c in legacy.columns
    )


def _field(side: str, column: Carried) -> sql.Composable:
    return sql.SQL(f"{side}.") + sql.Identifier(column.target)


def _fields(legacy: Legacy, side: str) -> sql.Composable:
    return sql.SQL(", ").join(_field(side, column) for column in legacy.columns)


def _poured(legacy: Legacy, trigger: Trigger, event: str) -> list[sql.Composable]:
    mould = _mould(trigger)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in legacy.columns)
    statements: list[sql.Composable] = []
    if event != "insert":
        statements.append(
            sql.SQL("perform set_config('omniledger.old_row', row({})::{}::text, true);").format(
                _fields(legacy, "old"), _ROW_TYPE
            )
        )
    back: sql.Composable = sql.SQL("")
    if trigger.is_before and event != "delete":
        back = sql.SQL(" returning {} into {}").format(names, _fields(legacy, "new"))
    pour = {
        "insert": "insert into {mould} ({names}) values ({new}){back};",
        "update": "update {mould} set ({names}) = row({new}){back};",
        "delete": "delete from {mould};",
    }[event]
    statements.append(
        sql.SQL(pour).format(mould=mould, names=names, new=_fields(legacy, "new"), back=back)
    )
    if trigger.is_before:
        # A function that gave back no row wanted nothing to be written.
        statements.append(sql.SQL("if not found then return null; end if;"))
    return statements


def _create(
    connection: Connection,
    legacy: Legacy,
    trigger: Trigger,
    event: str,
    call: sql.Composable,
) -> None:
    watched: sql.Composable = sql.SQL("")
    if event == "update":
        columns = [
            sql.Identifier(column.target)
            for column in legacy.columns
            if not trigger.columns or column.name in trigger.columns
        ]
        watched = sql.SQL(" of ") + sql.SQL(", ").join(columns)
    name = shortened(f"{_PREFIX}{event}_{trigger.name}")
    connection.execute(
        sql.SQL(
            "create trigger {} {} {}{} on {} for each row when ({}) execute function {}"
        ).format(
            sql.Identifier(name),
            sql.SQL("before" if trigger.is_before else "after"),
            sql.SQL(event),
            watched,
            LEDGER,
            sql.SQL(_SHOWN[event]),
            call,
        )
    )
