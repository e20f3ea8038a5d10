"""The sequence of an identity id: one of its own while the old name is a view, and back again.

The sequence of an identity column can't outlive it, so one that is like it takes its name.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors, sql

from migrations.merge.labels import take_defaults
from omniledger.database import Connection

_PROPERTIES = """
    select
        format_type(s.seqtypid, null),
        s.seqstart,
        s.seqincrement,
        s.seqmin,
        s.seqmax,
        s.seqcache,
        s.seqcycle,
        pg_get_userbyid(c.relowner),
        obj_description(c.oid, 'pg_class'),
        array(
            select format(
                'grant %%s on sequence %%s to %%s%%s',
                a.privilege_type,
                c.oid::regclass,
                coalesce(quote_ident(r.rolname), 'public'),
                case when a.is_grantable then ' with grant option' else '' end
            )
            from aclexplode(c.relacl) as a
            left join pg_roles as r on a.grantee = r.oid
        )
    from pg_sequence as s
    inner join pg_class as c on s.seqrelid = c.oid
    where s.seqrelid = to_regclass(%s)
"""


@dataclass(frozen=True)
class _Numbers:
    """All that there is to a sequence, but its name and whose column it is."""

    kind: str
    start: int
    increment: int
    lowest: int
    highest: int
    cache: int
    cycles: bool
    owner: str
    comment: str | None
    grants: list[str]
    last_value: int
    is_called: bool

    @classmethod
    def read(cls, connection: Connection, sequence: sql.Identifier) -> _Numbers:
        [properties] = connection.execute(_PROPERTIES, (sequence.as_string(),)).fetchall()
        [at] = connection.execute(
            sql.SQL("select last_value, is_called from {}").format(sequence)
        ).fetchall()
        return cls(*properties, *at)

    @property
    def options(self) -> sql.Composable:
        """As CREATE SEQUENCE and an identity have them; the type is not among them."""
        return sql.SQL("start with {} increment by {} minvalue {} maxvalue {} cache {} {}").format(
            self.start,
            self.increment,
            self.lowest,
            self.highest,
            self.cache,
            sql.SQL("cycle" if self.cycles else "no cycle"),
        )

    def give(self, connection: Connection, sequence: sql.Identifier) -> None:
        """Let a sequence that was made with the options be where this one was, and as it was."""
        name = sequence.as_string()
        connection.execute(
            "select setval(%s::regclass, %s, %s)", (name, self.last_value, self.is_called)
        )
        connection.execute(
            sql.SQL("comment on sequence {} is {}").format(sequence, sql.Literal(self.comment))
        )
        take_defaults(connection, name)
        for grant in self.grants:
            connection.execute(grant.encode())


def free(connection: Connection, relation: sql.Composable, sequence: sql.Identifier) -> None:
    """Put a sequence of its own in the place of the one of the identity column `id`."""
    numbers = _Numbers.read(connection, sequence)
    connection.execute(sql.SQL("alter table {} alter column id drop identity").format(relation))
    connection.execute(
        sql.SQL("create sequence {} as {} {}").format(
            sequence, sql.SQL(numbers.kind), numbers.options
        )
    )
    # Where we may not give it away it is ours, as the view is; writers may draw from it anyhow.
    with suppress(errors.InsufficientPrivilege), connection.transaction():
        connection.execute(
            sql.SQL("alter sequence {} owner to {}").format(sequence, sql.Identifier(numbers.owner))
        )
    numbers.give(connection, sequence)


def restore(
    connection: Connection, relation: sql.Composable, sequence: sql.Identifier, identity: str
) -> None:
    """Give the id its identity again, which counts on from where the sequence is.

    Args:
        identity: how it is one: "a" always, "d" by default.
    """
    numbers = _Numbers.read(connection, sequence)
    connection.execute(sql.SQL("drop sequence {}").format(sequence))
    connection.execute(
        sql.SQL(
            "alter table {} alter column id add generated {} as identity (sequence name {} {})"
        ).format(
            relation,
            sql.SQL("always" if identity == "a" else "by default"),
            sequence,
            numbers.options,
        )
    )
    numbers.give(connection, sequence)
