"""What somebody changed by hand: the catalog against what the gateway and the migrations make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from psycopg.sql import Identifier

from migrations.legacy import GATEWAY_COLUMNS
from migrations.merge.record import last_done
from migrations.placing import ADDED_COLUMNS, OURS
from omniledger import revisions
from omniledger.database import Connection
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import LEDGER, Look
from omniledger.merging.verifying import damage, redefined
from omniledger.settings import MIGRATIONS_DIR

_TABLE = re.compile(r"create table if not exists (\w+)\.(\w+) \((.*?)\n\);", re.DOTALL)
_COLUMN = re.compile(
    r"^    (\w+) (.+?)(?: default .*| not null.*| generated .*| references .*)?,?$", re.MULTILINE
)

_MEMORY = "select name, value::jsonb from ledger.settings where name in ({})"

# One for the gateway's rows only, or the others, was made as docs/operations.md says.
_TRIGGERS = """
    select t.tgname::text, n.nspname || '.' || c.relname
    from pg_trigger as t
    inner join pg_class as c on t.tgrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where
        n.nspname = 'omni2'
        and c.relname in ('audit_logs', 'mcp_health_log')
        and not t.tgisinternal
        and t.tgname not like 'omniledger%'
        and pg_get_triggerdef(t.oid) not ilike '%legacy_id IS N%'
    order by 1, 2
"""

_SLEEPING = """
    select t.tgname::text, t.tgrelid::regclass::text
    from pg_trigger as t
    where
        t.tgname like 'omniledger\\_%%'
        and t.tgenabled not in ('O', 'A')
        -- of a merged ledger, what is looked at after the merge tells it
        and not (t.tgrelid = 'omni2.audit_logs'::regclass and %s)
    order by 1, 2
"""

# Of roles that have no rights here at all, none were granted.
_RIGHTS = """
    with needed (role, relation, privilege) as (
        values
        ('omniledger_writer', 'omni2.audit_logs', 'select, insert, update, delete'),
        ('omniledger_writer', %(old_name)s, 'select, insert, update, delete'),
        ('omniledger_writer', 'omni2.mcp_health_log', 'select, insert, update, delete'),
        ('omniledger_runner', 'omni2.audit_logs', 'select'),
        ('omniledger_runner', 'omni2.mcp_health_log', 'select'),
        ('omniledger_runner', 'ledger.runs', 'select, insert, update'),
        ('omniledger_reader', 'ledger.runs', 'select')
    )

    select format('%%s lacks the right to %%s %%s', n.role, one.privilege, n.relation)
    from needed as n
    inner join pg_roles as r
        on n.role = r.rolname and has_schema_privilege(r.oid, 'ledger', 'usage')
    cross join lateral regexp_split_to_table(n.privilege, ', ') as one (privilege)
    where
        to_regclass(n.relation) is not null
        and not has_table_privilege(r.oid, to_regclass(n.relation), one.privilege)
    union all
    select format('everybody may %%s %%s', lower(a.privilege_type), c.oid::regclass)
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    cross join lateral aclexplode(c.relacl) as a
    where
        a.grantee = 0
        and n.nspname = 'ledger'
        and c.relkind in ('r', 'p')
        and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
    order by 1
"""

_INVALID = """
    select n.nspname || '.' || c.relname
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_class as t on i.indrelid = t.oid
    where not i.indisvalid and t.relname in ('audit_logs', 'mcp_health_log')
    order by 1
"""


def changes(look: Look) -> Answer:
    """Missing and extra columns, other types, triggers, indexes, rights, the schema `ledger`."""
    found = [*drifted(look)]
    if look.revision == revisions.head():
        found += ledger_tables(look.connection)
    figures = (Figure("changes", len(found)),)
    if not found:
        return Answer(State.IN_ORDER, "nothing", figures=figures)
    return Answer(
        State.DRIFT,
        "; ".join(one.rstrip(".") for one in found),
        "The upgrade keeps columns made by hand, and adopts or converts those of the ledger's "
        "name; what it made itself must stay as it made it.",
        "Take back what nobody needs, and look whether it is in your own scripts.",
        figures,
    )


def drifted(look: Look) -> Iterator[str]:
    """Each change that can be told without a library of migrations, which takes a while to load.

    Raises:
        InsufficientPrivilege: we may not see all; what we may is told before, but for sequences.
    """
    yield from _columns(look)
    yield from _extra(look)
    for name, table in look.connection.execute(_TRIGGERS):
        yield f"the trigger {name} of {table} is not of the upgrade"
    for (name,) in look.connection.execute(_INVALID):
        yield f"the index {name} is invalid"
    if look.revision != revisions.head():
        return
    done = last_done(look.connection)
    for name, table in look.connection.execute(_SLEEPING, (done is not None,)):
        yield f"the trigger {name} of {table} is disabled"
    old_name = {"old_name": Identifier(look.settings.legacy_schema, "audit_logs").as_string()}
    for (lack,) in look.connection.execute(_RIGHTS, old_name):
        yield lack
    yield from redefined(look.connection) if done is None else damage(look.connection, done)


@cache
def _made() -> dict[tuple[str, str], dict[str, str]]:
    """Type of each column of the gateway's tables, read from the SQL that makes them."""
    text = (MIGRATIONS_DIR / "sql" / "gateway_tables.sql").read_text()
    return {
        (schema, name): dict(_COLUMN.findall(columns))
        for schema, name, columns in _TABLE.findall(text)
    }


def _columns(look: Look) -> Iterator[str]:
    for name, made in _made().items():
        columns = look.columns(name)
        table = ".".join(name)
        for column, kind in made.items() if columns else ():
            there = columns.get(column)
            if there is None:
                yield f"{table} has no column {column}"
            elif there.replace(" ", "") != kind.replace(" ", ""):
                yield f"{table}.{column} is {there}, and was made as {kind}"


def _extra(look: Look) -> Iterator[str]:
    """Columns of the ledger that neither the gateway nor the upgrade made."""
    known = {*GATEWAY_COLUMNS} | (_remembered(look) if look.has_ledger else set())
    for column, kind in look.columns(LEDGER).items():
        if column not in known and not column.startswith("omniledger_"):
            adopted = column in ADDED_COLUMNS or column in OURS
            which = ", which has a name of the ledger's" if adopted else ""
            yield f"omni2.audit_logs.{column} ({kind}) was made by hand{which}"


def _remembered(look: Look) -> set[str]:
    """The columns that the upgrade noted to be its own, or to have taken over."""
    names = ("added_columns", "converted_columns", "loosened_types")
    query = _MEMORY.format(", ".join(["%s"] * len(names)))
    noted: dict[str, Any] = dict(look.connection.execute(query.encode(), names).fetchall())
    found = {column for columns in noted.values() for column in columns}
    # What the ledger needs and found was adopted; what it converted stays beside it.
    return found | {*ADDED_COLUMNS, *OURS} | {f"{column}_by_hand" for column in found}


def ledger_tables(connection: Connection) -> Iterator[str]:
    """What of the tables of `ledger` is not as the migrations make it, each in words."""
    from alembic.autogenerate import compare_metadata

    from omniledger.schema import compared, metadata

    with compared(connection) as context:
        for change in compare_metadata(context, metadata):
            for one in change if isinstance(change, list) else [change]:
                yield _said(one)


def _said(change: tuple[object, ...]) -> str:
    """One difference that Alembic found, in words."""
    action = str(change[0])
    verb, _, what = action.partition("_")
    of = change[-1]
    name = getattr(of, "name", None)
    if verb == "modify":
        return f"ledger.{change[2]}.{change[3]} has another {what} than it was made with"
    table = getattr(getattr(of, "table", None), "name", None) or (
        change[2] if len(change) > 3 else None
    )
    is_what = f"the {what} {name or of}" + (f" of ledger.{table}" if table else "")
    return f"{is_what} is {'missing' if verb == 'add' else 'not of the upgrade'}"
