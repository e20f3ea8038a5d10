"""The roles that the migrations make, where they could."""

from __future__ import annotations

from psycopg import sql

from omniledger.database import Connection

OWNER, WRITER, RUNNER, READER = ROLES = (
    "omniledger_owner",
    "omniledger_writer",
    "omniledger_runner",
    "omniledger_reader",
)


_HAVE_RIGHTS = """
select from pg_roles where rolname = %s and has_schema_privilege(oid, 'ledger', 'usage')
"""


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
