"""The roles that the migrations make, where they could."""

from __future__ import annotations

from psycopg import sql

from omniledger.database import Connection
from omniledger.errors import NotReadyError

OWNER, WRITER, RUNNER, READER = ROLES = (
    "omniledger_owner",
    "omniledger_writer",
    "omniledger_runner",
    "omniledger_reader",
)


_HAVE_RIGHTS = """
select from pg_roles where rolname = %s and has_schema_privilege(oid, 'ledger', 'usage')
"""


_RUNNERS_BESIDE_SUPERUSER = """
select r.rolname
from pg_roles as r
inner join pg_roles as runner on runner.rolname = %s
where
    (select rolsuper from pg_roles where rolname = session_user)
    and r.rolcanlogin
    and not r.rolsuper
    and pg_has_role(r.oid, runner.oid, 'member')
    and not exists (
        select
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            n.nspname in ('omni2', 'ledger')
            and c.relkind in ('r', 'p')
            and pg_has_role(r.oid, c.relowner, 'member')
    )
order by 1
limit 1
"""
"""A login that may change what runs made, and does not own what upgrades work on anyway."""


def require_no_superuser(connection: Connection) -> None:
    """Refuse to work on the marts, or to read them, as a superuser where others own them.

    Whoever owns a mart can hang a trigger on it, or put a view in its place, and so have a function
    called with all rights of whoever writes or reads it; one that only reads may start programs on
    the server all the same.

    Raises:
        NotReadyError: it names a login to use instead.
    """
    row = connection.execute(_RUNNERS_BESIDE_SUPERUSER, [RUNNER]).fetchone()
    if row is not None:
        raise NotReadyError(
            f"{connection.info.user} is a superuser, and {row[0]} may change what runs made: "
            "a trigger on a mart, or a view in its place, would act with all rights; name a member "
            f"of omniledger_runner in DATABASE_URL, as {row[0]} is (docs/security.md)."
        )


def grant_again(connection: Connection, legacy_schema: str) -> None:
    """Give the roles their rights on what a merge moved and made, where they have any here."""
    # With it comes Alembic, which who publishes has no use for.
    from migrations.roles import granting

    if connection.execute(_HAVE_RIGHTS, [RUNNER]).rowcount:
        connection.execute(granting(legacy_schema).encode())


_LET_RUNNERS_OWN = """
do $omniledger$
declare
    change text;
    has_changed boolean := true;
begin
    -- Again, for views upon views.
    while has_changed loop
        has_changed := false;
        for change in
            select format(
                'alter %s %s owner to %I',
                case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass, r.rolname
            )
            from pg_class as c
            inner join pg_namespace as n on c.relnamespace = n.oid
            inner join pg_roles as r on r.rolname = {runner}
            where
                n.nspname = {schema}
                and c.relname = coalesce({relation}, c.relname)
                and c.relkind in ('r', 'v')
                and pg_get_userbyid(c.relowner) = current_user
                and r.rolname <> current_user
                and pg_has_role(r.oid, 'usage')
                and has_schema_privilege(r.oid, n.oid, 'create')
                -- A view reads with its owner's rights.
                and not exists (
                    select
                    from pg_rewrite as w
                    inner join pg_depend as d
                        on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                    inner join pg_class as t
                        on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
                    where
                        w.ev_class = c.oid
                        and t.oid <> c.oid
                        and not (
                            has_schema_privilege(r.oid, t.relnamespace, 'usage')
                            and has_table_privilege(r.oid, t.oid, 'select')
                        )
                )
        loop
            begin
                execute change;
                has_changed := true;
            exception
                -- Since PostgreSQL 16 a member may be kept from it.
                when insufficient_privilege then null;
            end;
        end loop;
    end loop;
end
$omniledger$
"""


def let_runners_own(connection: Connection, schema: str, relation: str | None = None) -> None:
    """Give what this login has made in a schema to the role of runners, where it is one of them.

    Only an owner may build a table again, and the next run may be another login's. A view of what
    the role may not read stays its maker's, who could read it no longer otherwise.
    """
    connection.execute(
        sql.SQL(_LET_RUNNERS_OWN).format(runner=RUNNER, schema=schema, relation=relation)
    )


def share(connection: Connection, schema: str, relation: str) -> None:
    """Give a published table that was just made to the runners, and let readers read it."""
    let_runners_own(connection, schema, relation)
    is_there = connection.execute("select from pg_roles where rolname = %s", [READER])
    if is_there.rowcount:
        connection.execute(
            sql.SQL("grant select on {} to {}").format(
                sql.Identifier(schema, relation), sql.Identifier(READER)
            )
        )
