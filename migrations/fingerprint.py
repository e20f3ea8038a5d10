"""Whether a table is still as it was found, its rows and its rights aside."""

from __future__ import annotations

from omniledger.database import Connection

# Views over it are looked at when the name changes hands. The upgrade's own triggers are no change,
# and a partition more or less of a table that it references is none of its own.
_FINGERPRINT = r"""
    select md5(string_agg(part, E'\n' order by part))
    from (
        select format('%%s %%s %%s', c.relrowsecurity, c.relkind, c.relowner) as part
        from pg_class as c
        where c.oid = to_regclass(%(relation)s)
        union all
        select format(
            'column %%s %%s %%s %%s %%s %%s %%s %%s', a.attname, a.atttypid, a.atttypmod,
            a.attnotnull, a.attidentity, a.attgenerated, a.attcollation,
            pg_get_expr(d.adbin, d.adrelid)
        )
        from pg_attribute as a
        left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attrelid = to_regclass(%(relation)s) and a.attnum > 0 and not a.attisdropped
        union all
        select format('%%s %%s', pg_get_indexdef(i.indexrelid), i.indisvalid)
        from pg_index as i
        where i.indrelid = to_regclass(%(relation)s)
        union all
        select format('%%s %%s %%s', pg_get_triggerdef(t.oid), t.tgenabled, t.tgfoid)
        from pg_trigger as t
        where
            t.tgrelid = to_regclass(%(relation)s)
            and not t.tgisinternal
            and t.tgname not like 'omniledger\_%%'
        union all
        select format('%%s %%s %%s', k.conrelid, k.conname, pg_get_constraintdef(k.oid))
        from pg_constraint as k
        where to_regclass(%(relation)s) in (k.conrelid, k.confrelid) and k.conparentid = 0
        union all
        select 'rule ' || r.oid
        from pg_rewrite as r
        where r.ev_class = to_regclass(%(relation)s)
        union all
        select 'publication ' || p.prpubid
        from pg_publication_rel as p
        where p.prrelid = to_regclass(%(relation)s)
        union all
        select 'subscription ' || s.srsubid
        from pg_subscription_rel as s
        where s.srrelid = to_regclass(%(relation)s)
        union all
        select format('inherits %%s %%s', h.inhrelid, h.inhparent)
        from pg_inherits as h
        where to_regclass(%(relation)s) in (h.inhrelid, h.inhparent)
    ) as parts
"""


def read_fingerprint(connection: Connection, relation: str) -> str:
    """What tells whether a table is still as it was found, its rows and rights aside.

    Args:
        relation: its quoted name.
    """
    row = connection.execute(_FINGERPRINT, {"relation": relation}).fetchone()
    return str(row[0]) if row else ""
