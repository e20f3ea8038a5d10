"""Rights and comments of a relation: read from one, given to another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from psycopg import sql

from omniledger.database import Connection

_GRANTS = """
    select
        coalesce(r.rolname, 'public') as grantee,
        a.privilege_type,
        a.is_grantable,
        null::name as column_name
    from pg_class as c
    cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as a
    left join pg_roles as r on a.grantee = r.oid
    where c.oid = to_regclass(%(relation)s)
    union all
    select coalesce(r.rolname, 'public'), x.privilege_type, x.is_grantable, a.attname
    from pg_attribute as a
    cross join lateral aclexplode(a.attacl) as x
    left join pg_roles as r on x.grantee = r.oid
    where a.attrelid = to_regclass(%(relation)s) and a.attacl is not null
"""

_GIVEN = """
    select distinct coalesce(r.rolname, 'public')
    from pg_class as c
    cross join lateral aclexplode(c.relacl) as a
    left join pg_roles as r on a.grantee = r.oid
    where c.oid = to_regclass(%s) and a.grantee <> c.relowner
"""

_OWNERS = """
    select pg_get_userbyid(relowner) from pg_class
    where oid in (to_regclass(%s), to_regclass(%s))
"""

_COMMENTS = """
    select a.attname, col_description(a.attrelid, a.attnum)
    from pg_attribute as a
    where
        a.attrelid = to_regclass(%(relation)s)
        and a.attnum > 0
        and not a.attisdropped
        and col_description(a.attrelid, a.attnum) is not null
    union all
    select null, obj_description(to_regclass(%(relation)s), 'pg_class')
    where obj_description(to_regclass(%(relation)s), 'pg_class') is not null
"""

_VIEW_PRIVILEGES = {"SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "TRIGGER", "TRUNCATE"}


@dataclass(frozen=True)
class Grant:
    """One right of one role, on the relation or on one column of it."""

    grantee: str
    privilege: str
    is_grantable: bool
    column: str | None


@dataclass(frozen=True)
class Labels:
    """What a relation carries that is no data: rights, and comments by column."""

    grants: tuple[Grant, ...]
    comments: tuple[tuple[str | None, str], ...]

    @classmethod
    def read(cls, connection: Connection, relation: str) -> Labels:
        """The labels of a relation, by its quoted name."""
        named = {"relation": relation}
        grants = connection.execute(_GRANTS, named).fetchall()
        comments = connection.execute(_COMMENTS, named).fetchall()
        return cls(tuple(Grant(*grant) for grant in grants), tuple(comments))

    def holders(self, *privileges: str) -> list[str]:
        """The roles that have one of these rights on the relation, or on a column of it."""
        return sorted({grant.grantee for grant in self.grants if grant.privilege in privileges})

    def give(self, connection: Connection, view: str) -> None:
        """Put them on a view, by its quoted name, in place of what default privileges gave."""
        take_defaults(connection, view)
        statements = [_grant(g, view) for g in self.grants if g.privilege in _VIEW_PRIVILEGES]
        if statements:
            connection.execute(sql.SQL("; ").join(statements))
        for column, text in self.comments:
            on = sql.SQL("view ") + sql.SQL(view)
            if column is not None:
                on = sql.SQL("column {}.{}").format(sql.SQL(view), sql.Identifier(column))
            connection.execute(sql.SQL("comment on {} is {}").format(on, sql.Literal(text)))


@dataclass(frozen=True)
class Changed:
    """What of the rights on a view was given and taken since it bears a table's name."""

    given: tuple[Grant, ...]
    taken: tuple[Grant, ...]

    @classmethod
    def read(cls, connection: Connection, table: str, view: str) -> Changed:
        """By what the table had, and both their quoted names; what owners have is their own."""
        owners = {row[0] for row in connection.execute(_OWNERS, (table, view)).fetchall()}
        had, has = (
            {
                grant
                for grant in Labels.read(connection, relation).grants
                if grant.privilege in _VIEW_PRIVILEGES and grant.grantee not in owners
            }
            for relation in (table, view)
        )
        return cls(tuple(has - had), tuple(had - has))

    def follow(self, connection: Connection, table: str) -> None:
        """Give, and take, the same of the table, by its quoted name."""
        for grant in self.taken:
            connection.execute(_revoke(grant, table))
        for grant in self.given:
            connection.execute(_grant(grant, table))


def give_column(connection: Connection, table: str, column: str, to: str) -> None:
    """Give one column of a table what another of it carries: rights, and its comment.

    Args:
        table: its quoted name.
    """
    labels = Labels.read(connection, table)
    for grant in labels.grants:
        if grant.column == column:
            connection.execute(_grant(replace(grant, column=to), table))
    for name, text in labels.comments:
        if name == column:
            connection.execute(
                sql.SQL("comment on column {}.{} is {}").format(
                    sql.SQL(table), sql.Identifier(to), sql.Literal(text)
                )
            )


def take_defaults(connection: Connection, relation: str) -> None:
    """Take what default privileges gave of a relation that was just made, by its quoted name."""
    for (grantee,) in connection.execute(_GIVEN, (relation,)).fetchall():
        connection.execute(
            sql.SQL("revoke all on {} from {}").format(sql.SQL(relation), role(grantee))
        )


def role(name: str) -> sql.Composable:
    """A grantee as SQL names it."""
    return sql.SQL("public") if name == "public" else sql.Identifier(name)


def _grant(grant: Grant, relation: str) -> sql.Composed:
    option = " with grant option" if grant.is_grantable and grant.grantee != "public" else ""
    return sql.SQL("grant {} on {} to {}{}").format(
        _privilege(grant), sql.SQL(relation), role(grant.grantee), sql.SQL(option)
    )


def _revoke(grant: Grant, relation: str) -> sql.Composed:
    return sql.SQL("revoke {} on {} from {} cascade").format(
        _privilege(grant), sql.SQL(relation), role(grant.grantee)
    )


def _privilege(grant: Grant) -> sql.Composable:
    if grant.column is None:
        return sql.SQL(grant.privilege)
    return sql.SQL("{} ({})").format(sql.SQL(grant.privilege), sql.Identifier(grant.column))
