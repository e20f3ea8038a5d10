"""What writers of the old name need since it is a view, given to them until the way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from psycopg import sql

from migrations.memory import note, noted, replace
from migrations.merge.labels import role
from omniledger.database import Connection
from omniledger.roles import ROLES

_LENT = "lent_usage"

_GRANTABLE = """
    select bool_or(a.is_grantable)
    from (
        select coalesce(c.relacl, acldefault('s', c.relowner)) as acl
        from pg_class as c
        where %(kind)s = 'sequence' and c.oid = to_regclass(%(name)s)
        union all
        select coalesce(n.nspacl, acldefault('n', n.nspowner))
        from pg_namespace as n
        where %(kind)s = 'schema' and n.oid = to_regnamespace(%(name)s)
    ) as held
    cross join lateral aclexplode(held.acl) as a
    left join pg_roles as r on a.grantee = r.oid
    where a.privilege_type = 'USAGE' and coalesce(r.rolname, 'public') = %(grantee)s
"""


def lend_usage(connection: Connection, kind: str, name: str, grantees: Iterable[str]) -> None:
    """Give USAGE to those who have it not, and note whom it was given to.

    The ledger's own roles get and lose what they have by a revision of its own.

    Args:
        kind: `sequence` or `schema`.
        name: its quoted name.
    """
    lacking = [g for g in grantees if _grantable(connection, kind, name, g) is None]
    for grantee in lacking:
        connection.execute(
            sql.SQL("grant usage on {} {} to {}").format(
                sql.SQL(kind), sql.SQL(name), role(grantee)
            )
        )
    lent = sorted({*lacking} - {*ROLES})
    if lent:
        note(connection, _LENT, f"{kind} {name}", lent)


def take_back(connection: Connection) -> None:
    """Take what was given, and no more: who may give it on since was given it by somebody else."""
    for what, grantees in noted(connection, _LENT).items():
        kind, _, name = what.partition(" ")
        for grantee in grantees:
            # It is None where the role or the thing is gone.
            if _grantable(connection, kind, name, grantee) is False:
                connection.execute(
                    sql.SQL("revoke usage on {} {} from {}").format(
                        sql.SQL(kind), sql.SQL(name), role(grantee)
                    )
                )
    replace(connection, _LENT, {})


def _grantable(connection: Connection, kind: str, name: str, grantee: str) -> bool | None:
    """Whether who was given USAGE may give it on; None who was not given it."""
    named = {"kind": kind, "name": name, "grantee": grantee}
    [(grantable,)] = connection.execute(_GRANTABLE, named).fetchall()
    return cast("bool | None", grantable)
