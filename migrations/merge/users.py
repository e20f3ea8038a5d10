"""Who a user of the legacy table is among the gateway's users."""

from psycopg import sql

from migrations.legacy import Legacy
from migrations.merge.old_rows import OldRows
from omniledger.database import Connection

_FOREIGN_KEY = """
    select n.nspname, c.relname
    from pg_constraint as k
    inner join pg_class as c on k.confrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = k.conkey[1]
    where
        k.conrelid = to_regclass(%s)
        and k.contype = 'f'
        and k.conparentid = 0
        and a.attname = 'user_id'
"""

_HAS_EMAIL = """
    select count(*) = 2
    from pg_attribute
    where attrelid = to_regclass(%s) and attname in ('id', 'email') and not attisdropped
"""

_IS_BOUND = r"""
    select exists (
        select from pg_constraint as k
        inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = any(k.conkey)
        where
            k.conrelid = to_regclass('omni2.audit_logs')
            and k.confrelid = to_regclass('auth_service.users')
            and k.contype = 'f'
            and a.attname = 'user_id'
            and k.conname not like 'omniledger\_%'
    )
"""

# The operator's word counts before the id itself.
ONE_SPACE = """
create or replace function ledger.resolve_user(legacy_user_id bigint) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select m.user_id from ledger.user_map as m where m.legacy_user_id = $1),
        case when $1 between -2147483648 and 2147483647 then $1::integer end
    )
$$
"""

_ONE_BOUND_SPACE = """
create or replace function ledger.resolve_user(legacy_user_id bigint) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select g.id
    from auth_service.users as g
    where g.id = coalesce(
        (select m.user_id from ledger.user_map as m where m.legacy_user_id = $1), $1
    )
$$
"""
"""Where a foreign key of the gateway's would refuse the row of whoever is not its user."""

UNTIL_MERGED = """
create or replace function ledger.resolve_user(legacy_user_id bigint) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select m.user_id from ledger.user_map as m where m.legacy_user_id = $1 $$
"""
"""What stands in where SQL is only printed: nobody knows yet whose ids the old table holds."""


def _address(column: str) -> sql.SQL:
    """An e-mail as addresses are compared: without spaces around it, in lower case.

    NULL where nothing is left, for that is nobody's.

    First the letters of ASCII, of which a Turkish I is one here, then what else the database knows.
    Said with collations, for columns have theirs, and two columns may not have the same.

    Args:
        column: what SQL calls it; no name of anybody's.
    """
    lowered = f'lower(lower(trim({column}) collate "C") collate "default")'
    return sql.SQL(f"nullif({lowered}, '')")


ADDRESSES = {"gateways": _address("g.email"), "olds": _address("u.email")}
"""That of the gateway's user `g`, and of the old one `u`."""

# Doubled addresses among the gateway's users name nobody; doubled old users are one person.
_BY_EMAIL = """
create or replace function ledger.resolve_user(legacy_user_id bigint) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select m.user_id from ledger.user_map as m where m.legacy_user_id = $1),
        (
            select min(g.id)
            from {users} as u
            inner join auth_service.users as g on {gateways} = {olds}
            where u.id = $1
            having count(*) = 1
        )
    )
$$
"""

_MAP_BY_EMAIL = """
create or replace function ledger.map_users() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mended bigint;
begin
    insert into ledger.user_map (legacy_user_id, user_id, how)
    select w.legacy_user_id, w.user_id, 'e-mail'
    from ({who}) as w
    on conflict (legacy_user_id) do nothing;

    update omni2.audit_logs as a
    set user_id = m.user_id
    from ledger.user_map as m
    where a.legacy_user_id = m.legacy_user_id and a.user_id is null;
    get diagnostics mended = row_count;
    return mended;
end
$$
"""

_SAME_EMAIL = """
    select u.id as legacy_user_id, min(g.id) as user_id
    from {users} as u
    inner join auth_service.users as g on {gateways} = {olds}
    group by u.id
    having count(*) = 1
"""

_SAME_ID = "select id as legacy_user_id, id as user_id from auth_service.users"

MAP_NOBODY = """
create or replace function ledger.map_users() returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$ select 0::bigint $$
"""


_MAP_ONE_SPACE = """
insert into ledger.user_map (legacy_user_id, user_id, how)
select distinct {person}, {person}, 'one id space'
from {legacy} as l
where {person} between -2147483648 and 2147483647 {who_is_there}
on conflict do nothing
"""

_WHO_IS_THERE = "and exists (select from auth_service.users as g where g.id = {person})"


def user_table(
    connection: Connection, legacy: Legacy, relation: str | None = None
) -> tuple[str, str] | None:
    """The table, as schema and name, whose ids the legacy table's `user_id` holds.

    Args:
        relation: where the legacy table is, where it is in the archive already.

    Returns:
        None where they are the gateway's own ids, those of `auth_service.users`.
    """
    found = connection.execute(_FOREIGN_KEY, (relation or legacy.relation,)).fetchone()
    schema, name = found or (legacy.schema, "users")
    if (schema, name) == ("auth_service", "users"):
        return None
    users = sql.Identifier(schema, name).as_string(connection)
    has_email = connection.execute(_HAS_EMAIL, (users,)).fetchone()
    return (schema, name) if has_email == (True,) else None


def who_is_who(table: tuple[str, str] | None) -> sql.Composable:
    """A query of `legacy_user_id` and `user_id`, for each old user who is one of the gateway's.

    Args:
        table: what `user_table` found.
    """
    if table is None:
        return sql.SQL(_SAME_ID)
    return sql.SQL(_SAME_EMAIL).format(users=sql.Identifier(*table), **ADDRESSES)


def is_bound(connection: Connection) -> bool:
    """Whether the gateway's log takes only users whom the gateway has."""
    return connection.execute(_IS_BOUND).fetchone() == (True,)


def make_functions(connection: Connection, legacy: Legacy, relation: str | None = None) -> None:
    """Make `ledger.resolve_user`, for one id, and `ledger.map_users`, for all that are not known.

    The fill-in trigger calls the first at each chat row, each run of the flow the second.

    Args:
        relation: where the legacy table is, where it is in the archive already.
    """
    table = user_table(connection, legacy, relation)
    if table is None:
        connection.execute(_ONE_BOUND_SPACE if is_bound(connection) else ONE_SPACE)
        connection.execute(MAP_NOBODY)
        return
    users = sql.Identifier(*table)
    connection.execute(sql.SQL(_BY_EMAIL).format(users=users, **ADDRESSES))
    connection.execute(sql.SQL(_MAP_BY_EMAIL).format(who=who_is_who(table)))


def map_users(connection: Connection, legacy: Legacy) -> None:
    """Make the two functions, and note who is who as far as that is known."""
    make_functions(connection, legacy)
    if user_table(connection, legacy) is None:
        old = OldRows(legacy)
        connection.execute(
            sql.SQL(_MAP_ONE_SPACE).format(
                legacy=old.table,
                person=old.person,
                who_is_there=sql.SQL(_WHO_IS_THERE if is_bound(connection) else "").format(
                    person=old.person
                ),
            )
        )
    else:
        connection.execute("select ledger.map_users()")
