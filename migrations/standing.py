"""What stands over a table: what of it can't be made again when another takes the name."""

from __future__ import annotations

from collections.abc import Iterator

from omniledger.database import Connection

OVER = """
    with recursive legacy as (select to_regclass(%(relation)s)::oid as oid),

    view_over as (
        select oid from legacy
        union
        select r.ev_class
        from view_over
        inner join pg_depend as d
            on
                view_over.oid = d.refobjid
                and d.refclassid = 'pg_class'::regclass
                and d.classid = 'pg_rewrite'::regclass
        inner join pg_rewrite as r on d.objid = r.oid
    )
"""
"""The table, and the views over it and over those."""

_VIEWS = f"""{OVER}
    select 'the materialized view ' || c.oid::regclass || ' reads it'
    from view_over
    inner join pg_class as c on view_over.oid = c.oid
    where c.relkind = 'm'
    union all
    select 'the temporary view ' || c.oid::regclass || ', of a session that is open, reads it'
    from view_over
    inner join pg_class as c on view_over.oid = c.oid
    where c.relkind = 'v' and c.relpersistence = 't'
    union all
    select 'the view ' || c.oid::regclass || ' over it has a trigger'
    from view_over
    inner join pg_class as c on view_over.oid = c.oid
    where
        c.relkind = 'v'
        -- relhastriggers stays when the last one goes
        and exists (select from pg_trigger as t where c.oid = t.tgrelid)
    union all
    select 'the rule ' || r.rulename || ' is on ' || r.ev_class::regclass
    from view_over
    inner join pg_rewrite as r on view_over.oid = r.ev_class
    where r.rulename <> '_RETURN'
    union all
    select pg_describe_object(d.classid, d.objid, 0) || ' is bound to ' || d.refobjid::regclass
    from view_over
    inner join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and view_over.oid = d.refobjid
    where d.classid in ('pg_proc'::regclass, 'pg_policy'::regclass)
"""  # noqa: S608 (no value of anybody's in it)

# Columns of a view are of the type for what the view reads, and are made again with it.
_TYPED = f"""{OVER}
    select
        t.typrelid = legacy.oid,
        format(
            case d.classid
                when 'pg_proc'::regclass then 'the %%s takes or returns %%s as a type'
                else 'the %%s is of the type of %%s'
            end,
            coalesce(
                'view ' || r.ev_class::regclass,
                pg_describe_object(d.classid, d.objid, d.objsubid)
            ),
            case t.typrelid
                when legacy.oid then 'its rows' else 'rows of ' || t.typrelid::regclass
            end
        )
    from view_over
    cross join legacy
    inner join pg_type as t on view_over.oid = t.typrelid
    inner join pg_depend as d
        on d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, t.typarray)
    left join pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    left join pg_class as c on d.classid = 'pg_class'::regclass and d.objid = c.oid
    where
        d.deptype = 'n'
        and c.relkind is distinct from 'v'
        and not exists (select from view_over as v where v.oid = r.ev_class)
"""  # noqa: S608 (no value of anybody's in it)

_OF_TABLES = """
    with legacy as (select to_regclass(%(relation)s)::oid as oid)

    select 'the view ' || r.ev_class::regclass || ' groups by its key'
    from pg_constraint as k
    inner join legacy on k.conrelid = legacy.oid
    inner join pg_depend as d
        on d.refclassid = 'pg_constraint'::regclass and k.oid = d.refobjid
    inner join pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    union all
    select format(
        'the view %%s reads %%s', r.ev_class::regclass,
        case when d.refobjsubid < 0 then 'its ' || a.attname else 'a sample of it' end
    )
    from pg_depend as d
    inner join legacy on d.refobjid = legacy.oid
    inner join pg_rewrite as r on d.objid = r.oid
    left join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
    where
        d.refclassid = 'pg_class'::regclass
        and d.classid = 'pg_rewrite'::regclass
        and (
            d.refobjsubid < 0
            or r.ev_action::text
            ~ format(':relid %%s [^{}]*:tablesample [{]TABLESAMPLECLAUSE', legacy.oid)
        )
"""


def over(connection: Connection, relation: str, *, becomes_view: bool = False) -> Iterator[str]:
    """What stands over a table and can't be made again over another, or over a view.

    Args:
        becomes_view: whether what takes the table's name has no rows of its own, nor their type.
    """
    named = {"relation": relation}
    for (why,) in connection.execute(_VIEWS.encode(), named):
        yield why
    for is_own, why in connection.execute(_TYPED.encode(), named):
        if becomes_view or not is_own:
            yield why
    if becomes_view:
        for (why,) in connection.execute(_OF_TABLES, named):
            yield why
