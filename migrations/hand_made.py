"""Columns that somebody gave `omni2.audit_logs` by hand, which the upgrade adopts or converts.

A column of the right kind is adopted. One of another kind (money kept as a float, tokens as
smallint) is converted while others write: a column beside it is filled, by a trigger for what is
written and in batches for what is there, and takes its name in an instant. The column made by
hand stays as `NAME_by_hand`, with every value, for the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from psycopg import sql

from migrations import obstacles, standing
from migrations.columns import Column, read_columns
from migrations.memory import forget, note, noted, remembered
from migrations.merge import dependents
from migrations.merge.labels import give_column
from migrations.patience import patiently
from migrations.placing import ADDED_COLUMNS, OURS, formula, is_alike
from migrations.triggers import make_trigger
from omniledger.catalog import is_there
from omniledger.database import Connection

_TABLE = "omni2.audit_logs"
_LEDGER = sql.Identifier("omni2", "audit_logs")
_BATCH = 5_000


def _by_hand(name: str) -> str:
    """The name under which a converted column's own stays."""
    return f"{name}_by_hand"


@dataclass(frozen=True)
class Conversion:
    """One column and the type that it must get.

    Attributes:
        formula: SQL for the new value, with `{0}` for the old; "" where the type's modifier only
            has to go, which changes no row.
    """

    column: Column
    type: str
    formula: str

    @property
    def by_hand(self) -> str:
        """The name under which the column stays."""
        return _by_hand(self.column.name)

    @property
    def filling(self) -> str:
        """The name of the column that is being filled."""
        return f"omniledger_{self.column.name}"


def planned_types(connection: Connection) -> dict[str, str]:
    """Type of each column of `omni2.audit_logs`, those to be converted as they will be.

    Raises:
        NotReadyError: a column made by hand has the name of one of the ledger's and another kind.
    """
    types = {c.name: c.type for c in read_columns(connection, _TABLE)}
    converted = {c.column.name: c.type for c in conversions(connection)}
    return {n: t for n, t in (types | converted).items() if not n.startswith("omniledger_")}


def conversions(connection: Connection) -> list[Conversion]:
    """What has to be converted.

    Raises:
        NotReadyError: a column made by hand has the name of one of the ledger's and another kind.
    """
    if _is_done(connection):
        return []
    ours = remembered(connection, "added_columns") | remembered(connection, "converted_columns")
    found = []
    for column in read_columns(connection, _TABLE):
        if column.name in ours:
            continue
        if column.name in OURS:
            raise obstacles.refusal(
                _TABLE, f"its column {column.name}, made by hand, has a name that the ledger needs"
            )
        wanted = ADDED_COLUMNS.get(column.name)
        if column.name == "cost_usd" and column.type.startswith("numeric("):
            found.append(Conversion(column, "numeric", ""))
        elif wanted is not None and not is_alike(column.type, wanted):
            how = formula(column.type, wanted, "UTC")
            if not how:
                raise obstacles.refusal(
                    _TABLE,
                    f"its column {column.name}, made by hand, is {column.type} and not {wanted}",
                )
            found.append(Conversion(column, wanted, how))
    for conversion in found[:1]:
        for why in standing.over(connection, _TABLE):
            raise obstacles.refusal(
                _TABLE, f"its column {conversion.column.name} must be converted and {why}"
            )
    return found


def _is_done(connection: Connection) -> bool:
    """Whether the revision that converts columns is behind us."""
    if not is_there(connection, "ledger.alembic_version"):
        return False
    row = connection.execute("select max(version_num) from ledger.alembic_version").fetchone()
    return row is not None and row[0] is not None and row[0] >= "0003"


def convert(connection: Connection) -> None:
    """Convert what has to be, while others write; a conversion that was killed goes on.

    Args:
        connection: outside of any transaction.
    """
    for conversion in conversions(connection):
        if not conversion.formula:
            patiently(connection, _TABLE, partial(_loosen, connection, conversion))
            continue
        patiently(connection, _TABLE, partial(_begin, connection, conversion))
        _fill(connection, conversion)
        patiently(connection, _TABLE, partial(_swap, connection, conversion))


def _loosen(connection: Connection, conversion: Conversion) -> None:
    """Take the modifier off a numeric type: the catalog alone changes."""
    with connection.transaction(), dependents.carried(connection, _TABLE):
        connection.execute(
            sql.SQL("alter table {} alter column {} type numeric").format(
                _LEDGER, sql.Identifier(conversion.column.name)
            )
        )
        note(connection, "loosened_types", conversion.column.name, conversion.column.type)


def _begin(connection: Connection, conversion: Conversion) -> None:
    name = conversion.column.name
    body = sql.SQL(conversion.formula).format(sql.SQL("new.") + sql.Identifier(name))
    function = sql.Identifier("ledger", f"convert_{name}")
    trigger = sql.Identifier(f"omniledger_convert_{name}")
    with connection.transaction():
        connection.execute(
            sql.SQL("alter table {} add column if not exists {} {}").format(
                _LEDGER, sql.Identifier(conversion.filling), sql.SQL(conversion.type)
            )
        )
        connection.execute(
            sql.SQL(
                "create or replace function {}() returns trigger language plpgsql"
                " security definer set search_path = pg_catalog, pg_temp"
                " as $$ begin new.{} := {}; return new; end $$"
            ).format(function, sql.Identifier(conversion.filling), body)
        )
        called = function.as_string(connection)
        connection.execute(
            make_trigger(
                trigger.as_string(connection),
                _TABLE,
                f"before insert or update on {_TABLE} for each row execute function {called}()",
            ).encode()
        )


def _fill(connection: Connection, conversion: Conversion) -> None:
    """Fill the rows that were there; the trigger computes, the update only touches."""
    step = sql.SQL(
        "with batch as (select id from {table} where id > %(after)s order by id limit %(size)s),"
        " touched as (update {table} as a set {filling} = null from batch where a.id = batch.id"
        " and a.{name} is not null and a.{filling} is null)"
        " select max(id) from batch"
    ).format(
        table=_LEDGER,
        filling=sql.Identifier(conversion.filling),
        name=sql.Identifier(conversion.column.name),
    )
    after: int | None = -(2**63)
    while after is not None:
        row = connection.execute(step, {"after": after, "size": _BATCH}).fetchone()
        after = row[0] if row else None


def _swap(connection: Connection, conversion: Conversion) -> None:
    name = conversion.column.name
    names = {
        "table": _LEDGER,
        "name": sql.Identifier(name),
        "by_hand": sql.Identifier(conversion.by_hand),
        "filling": sql.Identifier(conversion.filling),
        "trigger": sql.Identifier(f"omniledger_convert_{name}"),
        "function": sql.Identifier("ledger", f"convert_{name}"),
    }
    with connection.transaction(), dependents.carried(connection, _TABLE):
        statements = [
            "drop trigger {trigger} on {table}",
            "drop function {function}",
            "alter table {table} rename column {name} to {by_hand}",
            "alter table {table} rename column {filling} to {name}",
            # What the column made by hand demanded is nobody's concern from now on.
            "alter table {table} alter column {by_hand} drop not null",
        ]
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**names))
        if conversion.column.default:
            connection.execute(
                sql.SQL("alter table {table} alter column {name} set default {default}").format(
                    default=sql.SQL(conversion.column.default), **names
                )
            )
        # Who may write it by its name must not be refused, nor who reads it.
        give_column(connection, _TABLE, conversion.by_hand, name)
        was = "required" if conversion.column.is_required else ""
        note(connection, "converted_columns", name, was)


def give_rights(connection: Connection) -> None:
    """Give converted columns the rights on those made by hand, which an earlier version did not."""
    with connection.transaction():
        for name in noted(connection, "converted_columns"):
            give_column(connection, _TABLE, _by_hand(name), name)


def put_back(connection: Connection) -> None:
    """Give the columns made by hand their names again, with what was written since."""
    for name, was in noted(connection, "converted_columns").items():
        patiently(connection, _TABLE, partial(_swap_back, connection, name, was))
    for name, kind in noted(connection, "loosened_types").items():
        patiently(connection, _TABLE, partial(_tighten, connection, name, kind))


def _swap_back(connection: Connection, name: str, was: str) -> None:
    by_hand = _by_hand(name)
    types = {c.name: c.type for c in read_columns(connection, _TABLE)}
    names = {
        "table": _LEDGER,
        "name": sql.Identifier(name),
        "by_hand": sql.Identifier(by_hand),
    }
    fitting = formula(types[name], types[by_hand], "UTC") or f"{{0}}::{types[by_hand]}"
    value = sql.SQL(fitting).format(names["name"])
    converted = sql.SQL(formula(types[by_hand], types[name], "UTC")).format(names["by_hand"])
    with connection.transaction(), dependents.carried(connection, _TABLE):
        connection.execute(
            sql.SQL(
                "update {table} set {by_hand} = {value} where {converted} is distinct from {name}"
            ).format(value=value, converted=converted, **names)
        )
        give_column(connection, _TABLE, name, by_hand)
        for statement in (
            "alter table {table} drop column {name}",
            "alter table {table} rename column {by_hand} to {name}",
            *(("alter table {table} alter column {name} set not null",) if was else ()),
        ):
            connection.execute(sql.SQL(statement).format(**names))
        forget(connection, "converted_columns", name)


def _tighten(connection: Connection, name: str, kind: str) -> None:
    with connection.transaction(), dependents.carried(connection, _TABLE):
        connection.execute(
            sql.SQL("alter table {} alter column {} type {}").format(
                _LEDGER, sql.Identifier(name), sql.SQL(kind)
            )
        )
        forget(connection, "loosened_types", name)
