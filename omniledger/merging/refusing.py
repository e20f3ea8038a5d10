"""What somebody did since the merge that refuses, changes or hides rows of the old name."""

from __future__ import annotations

from collections.abc import Iterator

from migrations.bounds import binding
from migrations.legacy import ARCHIVE, NAME, Legacy
from migrations.merge.labels import Grant, Labels
from omniledger.catalog import is_there
from omniledger.database import Connection

_POLICED = """
    select relrowsecurity and relforcerowsecurity
    from pg_class
    where oid = 'omni2.audit_logs'::regclass
"""

_HAS = """
    select case
        when %(column)s::text is null
            then has_table_privilege(%(role)s, c.oid, %(privilege)s)
        else has_column_privilege(%(role)s, c.oid, a.attnum, %(privilege)s)
    end
    from pg_class as c
    left join pg_attribute as a on c.oid = a.attrelid and a.attname = %(column)s
    where c.oid = to_regclass(%(view)s)
"""

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")


def refused(connection: Connection, legacy: Legacy) -> Iterator[str]:
    """Each with its way out, from the catalog."""
    # Where there was no old table, the name is as new as its rows.
    for why in binding(connection, legacy.places) if legacy.has_table else ():
        yield (
            f"omni2.audit_logs takes rows of the old name no more as it did, because {why}: drop "
            "it, or make it of the gateway's rows alone (docs/operations.md, under 'What stops an "
            "upgrade')."
        )
    if connection.execute(_POLICED).fetchone() == (True,):
        yield (
            "omni2.audit_logs has row level security that is for its owner, too, so that rows are "
            "hidden or refused: alter table omni2.audit_logs no force row level security."
        )
    if is_there(connection, f"ledger.{ARCHIVE}"):
        yield from _lost_rights(connection, legacy)


def _lost_rights(connection: Connection, legacy: Legacy) -> Iterator[str]:
    """Who might do what with the old table, which has its rights still, and not by the old name."""
    for grant in Labels.read(connection, f"ledger.{ARCHIVE}").grants:
        # The upgrade's own roles may read the archive as they may all of the ledger.
        if grant.grantee.startswith("omniledger_") or grant.privilege not in _PRIVILEGES:
            continue
        if _has(connection, grant, legacy.relation):
            continue
        right = grant.privilege + (f" ({grant.column})" if grant.column else "")
        on, role = f"{legacy.schema}.{NAME}", grant.grantee
        yield (
            f"{role} had {right} on {on} and has it no more: grant {right.lower()} on {on} to "
            f"{role}, or revoke it on ledger.{ARCHIVE}, too, if that is meant."
        )


def _has(connection: Connection, grant: Grant, view: str) -> bool:
    """Also where the view or its column is not there, which is told by itself."""
    values = {
        "role": grant.grantee,
        "privilege": grant.privilege,
        "column": grant.column,
        "view": view,
    }
    return connection.execute(_HAS, values).fetchone() != (False,)
