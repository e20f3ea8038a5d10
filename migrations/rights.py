"""Whether we may do what an upgrade does, looked at before it begins."""

from __future__ import annotations

from psycopg import errors
from psycopg.sql import Identifier

from migrations.standing import OVER
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.explaining import first_line

_CLOSED = """
    select quote_ident(nspname)
    from pg_namespace
    where nspname = any(%s) and not has_schema_privilege(oid, 'create')
    order by 1
"""
"""Schemas that we may create nothing in."""

_OWNERS = """
    select c.oid::regclass::text, pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'usage')
    from pg_class as c
    where
        c.oid in (
            to_regclass(%s), to_regclass('omni2.audit_logs'), to_regclass('omni2.mcp_health_log')
        )
"""

# What may be given to a role: since PostgreSQL 16 that can be less than to have its rights.
_VIEWS = f"""{OVER}
    select
        c.oid::regclass::text,
        pg_get_userbyid(c.relowner),
        quote_ident(pg_get_userbyid(c.relowner)),
        quote_ident(n.nspname),
        pg_has_role(c.relowner, 'usage') and pg_has_role(c.relowner, %(to_give)s),
        current_setting('is_superuser') = 'on' or has_schema_privilege(c.relowner, n.oid, 'create')
    from view_over
    cross join legacy
    inner join pg_class as c on view_over.oid = c.oid and c.relkind = 'v' and c.oid <> legacy.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    order by 1
"""  # noqa: S608 (no value of anybody's in it)

# The foreign keys of the old table and to it get another table, and people are found by e-mail.
_NEIGHBOURS = """
    with legacy as (
        select c.oid, to_regclass(format('%%I.users', n.nspname)) as users
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where c.oid = to_regclass(%s)
    ),

    keys as (
        select k.conrelid, k.confrelid, k.confkey, a.attname
        from pg_constraint as k
        inner join pg_attribute as a on k.conrelid = a.attrelid and k.conkey[1] = a.attnum
        where k.contype = 'f' and k.conparentid = 0
    ),

    needed as (
        select
            k.conrelid as relation,
            'alter the foreign key of' as act,
            '' as privilege,
            pg_has_role(c.relowner, 'usage') as may
        from keys as k
        inner join legacy on k.confrelid = legacy.oid
        inner join pg_class as c on k.conrelid = c.oid
        union all
        select
            k.confrelid, 'let omni2.audit_logs reference', 'references',
            not exists (
                select from unnest(k.confkey) as r (attnum)
                where not has_column_privilege(k.confrelid, r.attnum, 'references')
            )
        from keys as k
        inner join legacy on k.conrelid = legacy.oid
        union all
        select u.relation, 'read', 'select', has_table_privilege(u.relation, 'select')
        from legacy
        cross join lateral (
            select to_regclass('auth_service.users') as relation
            union
            select coalesce(
                (
                    select k.confrelid from keys as k
                    where k.conrelid = legacy.oid and k.attname = 'user_id'
                    limit 1
                ),
                legacy.users
            )
        ) as u
        where exists (
            select from pg_attribute as a
            where a.attrelid = u.relation and a.attname = 'email' and not a.attisdropped
        )
    )

    select
        needed.act,
        c.oid::regclass::text,
        pg_get_userbyid(c.relowner),
        needed.privilege
    from needed
    inner join pg_class as c on needed.relation = c.oid
    where not needed.may
    order by 1, 2
"""

_EVENT_TRIGGERS = """
    select string_agg(quote_ident(evtname), ', ' order by evtname)
    from pg_event_trigger
    where evtenabled in ('O', 'A')
"""

_PROBES = (
    "create schema if not exists ledger",
    "create table ledger.omniledger_probe (id integer)",
    "alter table ledger.omniledger_probe add column name text",
    "create index omniledger_probe_name on ledger.omniledger_probe (name)",
    "create view ledger.omniledger_probe_view as select id from ledger.omniledger_probe",
    "create function ledger.omniledger_probe() returns integer language sql as 'select 1'",
    "drop function ledger.omniledger_probe()",
    "drop view ledger.omniledger_probe_view",
    "drop table ledger.omniledger_probe",
)
"""Of each kind of thing that an upgrade does one, on nobody's objects."""


def owners(connection: Connection, relation: str) -> list[tuple[str, str, bool]]:
    """The tables that an upgrade changes, their owners, and whether we may act as those.

    Args:
        relation: the quoted name of the old table.
    """
    return connection.execute(_OWNERS, (relation,)).fetchall()


def require_owner(connection: Connection, relation: str) -> None:
    """Refuse an upgrade by somebody who may not change the tables.

    Raises:
        NotReadyError: it names the owner.
    """
    for table, owner, is_ours in owners(connection, relation):
        if not is_ours:
            raise NotReadyError(
                f"{connection.info.user} may not change {table}, which belongs to {owner}; nothing "
                f"was changed: run the upgrade as {owner}, or as a member of that role."
            )


def view_owners(connection: Connection, relation: str) -> set[str]:
    """To whom the views over a table belong."""
    return {owner for _, owner, *_ in _views(connection, relation)}


def require_views(connection: Connection, relation: str) -> None:
    """Refuse to change what a table's name means where a view over it can't be given back.

    Raises:
        NotReadyError: it names the view and the statement that gives the right.
    """
    user = connection.info.user
    for view, owner, role, schema, is_ours, may_create in _views(connection, relation):
        if not is_ours:
            raise NotReadyError(
                f"{user} can't make the view {view} again, which belongs to {owner}: "
                f"`grant {role} to {user}`, and run the command again."
            )
        if not may_create:
            raise NotReadyError(
                f"{user} can't give the view {view} back to {owner}, who may create nothing in its "
                f"schema: `grant create on schema {schema} to {role}`, and run the command again."
            )


def require_neighbours(connection: Connection, relation: str) -> None:
    """Refuse an upgrade that may not do its part with the tables that keys lead to and from.

    Raises:
        NotReadyError: it names the table and the statement that gives the right, or the owner.
    """
    user = connection.info.user
    for act, table, owner, privilege in connection.execute(_NEIGHBOURS, (relation,)):
        way_out = (
            f"`grant {privilege} on {table} to {user}`, and run the command again."
            if privilege
            else f"run the upgrade as a member of {owner}, too."
        )
        raise NotReadyError(
            f"{user} may not {act} {table}, which belongs to {owner}; nothing was changed: "
            + way_out
        )


def _views(connection: Connection, relation: str) -> list[tuple[str, str, str, str, bool, bool]]:
    """The views over a table: name, owner, the owner and the schema as SQL names them, whether we
    may act as the owner, and whether the owner may have it made there."""
    to_give = "set" if connection.info.server_version >= 160000 else "member"
    named = {"relation": relation, "to_give": to_give}
    return connection.execute(_VIEWS.encode(), named).fetchall()


def require_room(connection: Connection, legacy_schema: str) -> None:
    """Refuse an upgrade by somebody who may not create what it creates, before it begins.

    Raises:
        NotReadyError: it names the schema and the statement that gives the right, or the owner of
            the tables, whose right it is to give.
    """
    require_owner(connection, Identifier(legacy_schema, "audit_logs").as_string(None))
    for (schema,) in connection.execute(_CLOSED, (["ledger", legacy_schema],)):
        raise NotReadyError(
            f"{connection.info.user} may not create anything in the schema {schema}, as the "
            f"upgrade has to; nothing was changed: `grant create on schema {schema} to "
            f"{connection.info.user}`, or run the command as the schema's owner."
        )
    require_unforbidden(connection)


def require_unforbidden(connection: Connection) -> None:
    """Refuse an upgrade of which an event trigger forbids a part, before it begins.

    Raises:
        NotReadyError: it names the triggers, and says what one of them said.
    """
    row = connection.execute(_EVENT_TRIGGERS).fetchone()
    if row is None or row[0] is None:
        return
    try:
        with connection.transaction(force_rollback=True):
            for probe in _PROBES:
                connection.execute(probe.encode())
    except errors.RaiseException as error:
        raise NotReadyError(
            f"An event trigger of this database ({row[0]}) forbids what the upgrade has to do: "
            f"{first_line(error)}; nothing was changed: `alter event trigger ... disable` it, and "
            "enable it when the upgrade is done."
        ) from error
