"""What the merge can't carry, each named before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrations.columns import Column
from omniledger.database import Connection
from omniledger.errors import NotReadyError

_NEEDED = ("user_id", "message", "created_at")

_AROUND = """
    with recursive legacy as (select to_regclass(%s)::oid as oid),

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

    select 'the materialized view ' || c.oid::regclass || ' reads it'
    from view_over
    inner join pg_class as c on view_over.oid = c.oid
    where c.relkind = 'm'
    union all
    select 'the view ' || c.oid::regclass || ' over it has a trigger'
    from view_over
    inner join pg_class as c on view_over.oid = c.oid
    where c.relkind = 'v' and c.relhastriggers
    union all
    select 'the rule ' || r.rulename || ' is on ' || r.ev_class::regclass
    from view_over
    inner join pg_rewrite as r on view_over.oid = r.ev_class
    where r.rulename <> '_RETURN'
    union all
    select
        'the foreign key ' || c.conname || ' of ' || c.conrelid::regclass
        || ' references more of it than its id'
    from pg_constraint as c
    inner join legacy on c.confrelid = legacy.oid
    where
        c.contype = 'f'
        and not exists (
            select from pg_attribute as a
            where
                a.attrelid = legacy.oid
                and a.attname = 'id'
                and c.confkey = array[a.attnum]
                and c.conrelid <> legacy.oid
        )
    union all
    select 'it has the trigger ' || t.tgname
    from pg_trigger as t
    inner join legacy on t.tgrelid = legacy.oid
    where not t.tgisinternal and t.tgname not like 'omniledger\\_%%'
    union all
    select 'it has row level security'
    from pg_class as c
    inner join legacy on c.oid = legacy.oid
    where c.relrowsecurity
    union all
    select 'it is part of the publication ' || p.pubname
    from pg_publication_rel as pr
    inner join pg_publication as p on pr.prpubid = p.oid
    inner join legacy on pr.prrelid = legacy.oid
    union all
    select 'it is partitioned or has a parent or a child'
    from legacy
    where exists (
        select from pg_inherits as i where legacy.oid in (i.inhrelid, i.inhparent)
    )
"""


def require_none(connection: Connection, relation: str, columns: Sequence[Column]) -> None:
    """Refuse a legacy table that would lose something.

    Raises:
        NotReadyError: the sentence names the first thing that can't be carried.
    """
    for why in _found(connection, relation, columns):
        raise refusal(relation, why)


def _found(connection: Connection, relation: str, columns: Sequence[Column]) -> Iterator[str]:
    types = {column.name: column.type for column in columns}
    if types.get("id") not in ("integer", "bigint"):
        yield "its column id is no integer"
    for name in _NEEDED:
        if name not in types:
            yield f"it has no column {name}"
    if types.get("created_at") != "timestamp with time zone":
        yield f"its column created_at is {types.get('created_at')}"
    if types.get("cost_estimate", "numeric").partition("(")[0] != "numeric":
        yield f"its column cost_estimate is {types['cost_estimate']}"
    for column in columns:
        if column.generated:
            yield f"its column {column.name} is generated"
    for (why,) in connection.execute(_AROUND, (relation,)):
        yield why


def refusal(relation: str, why: str) -> NotReadyError:
    """The sentence with which an upgrade stops."""
    return NotReadyError(
        f"The old audit table {relation} can't be merged yet, because {why}; nothing was "
        "changed: see what to do in docs/operations.md, under 'What stops an upgrade'."
    )
