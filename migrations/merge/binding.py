"""References that an earlier version carried, and that refuse rows which nobody refused before."""

from __future__ import annotations

from migrations.legacy import GATEWAY_COLUMNS
from migrations.placing import ADDED_COLUMNS, OURS
from omniledger.database import Connection

_BINDING = r"""
    select quote_ident(k.conname)
    from pg_constraint as k
    where
        k.conrelid = 'omni2.audit_logs'::regclass
        and k.contype = 'f'
        and k.conparentid = 0
        and k.conname like 'omniledger\_%%'
        and (
            exists (
                select from pg_attribute as a
                where
                    a.attrelid = k.conrelid
                    and a.attnum = any(k.conkey)
                    and a.attname = any(%s)
            )
            or exists (
                select from pg_inherits as i
                inner join pg_constraint as p on i.inhparent = p.confrelid
                where
                    i.inhrelid = k.confrelid
                    and p.conrelid = k.conrelid
                    and p.contype = 'f'
                    and p.conkey = k.conkey
            )
        )
    order by 1
"""


def binding(connection: Connection) -> list[str]:
    """The carried references, quoted, that bind rows of the gateway's, or all to one partition.

    None is carried so any more.
    """
    shared = sorted({*GATEWAY_COLUMNS, *ADDED_COLUMNS} - {*OURS})
    return [row[0] for row in connection.execute(_BINDING, (shared,)).fetchall()]
