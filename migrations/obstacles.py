"""What the merge can't carry, each named before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrations import standing
from migrations.columns import Column
from migrations.keys import Key
from migrations.placing import Carried
from migrations.references import uncarried
from migrations.triggers import read_triggers
from omniledger.catalog import is_there
from omniledger.database import Connection
from omniledger.errors import NotReadyError

KINDS = {
    "p": "it is partitioned",
    "m": "it is a materialized view",
    "f": "it is a foreign table",
    "S": "it is a sequence",
    "c": "it is a type",
    "i": "it is an index",
    "I": "it is an index",
    "t": "it is a table of the server's own",
}
"""What bears the old name where it is no plain table."""

_MOST_COLUMNS = 800
"""The certificate has both sides of each in one row, for which the server has a limit of 1,664."""

_INTEGERS = ("smallint", "integer", "bigint")

_AROUND = """
    with legacy as (select to_regclass(%s)::oid as oid)

    select 'its column ' || a.attname || ' is a serial beside the id'
    from pg_attribute as a
    inner join legacy on a.attrelid = legacy.oid
    inner join pg_depend as d
        on
            d.refclassid = 'pg_class'::regclass
            and a.attrelid = d.refobjid
            and a.attnum = d.refobjsubid
            and d.classid = 'pg_class'::regclass
            and d.deptype = 'a'
    inner join pg_class as s on d.objid = s.oid and s.relkind = 'S'
    where a.attname <> 'id'
    union all
    select 'its column ' || a.attname || ' has a collation by which different texts are equal'
    from pg_attribute as a
    inner join legacy on a.attrelid = legacy.oid
    inner join pg_collation as c on a.attcollation = c.oid
    where not c.collisdeterministic and not a.attisdropped
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
"""

_SUBSCRIBED = """
    select distinct 'the subscription ' || s.subname || ' writes it'
    from pg_subscription_rel as r
    inner join pg_stat_subscription as s on r.srsubid = s.subid
    where r.srrelid = to_regclass(%s)
"""
"""The view says who everybody may see; before PostgreSQL 14 nobody may join the catalog's table."""

_ACTIVE_POLICIES = "select row_security_active(to_regclass(%s))"

_POLICED_USERS = """
    select
        format(
            'the row level security of %%s, which says who its users are, is for %%s, too',
            u.oid::regclass, current_user
        )
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_class as u
        on
            u.oid = to_regclass(format('%%I.users', n.nspname))
            or u.oid in (
                select k.confrelid
                from pg_constraint as k
                inner join pg_attribute as a
                    on k.conrelid = a.attrelid and k.conkey[1] = a.attnum
                where
                    k.conrelid = c.oid
                    and k.contype = 'f'
                    and k.conparentid = 0
                    and a.attname = 'user_id'
            )
    where c.oid = to_regclass(%s) and row_security_active(u.oid)
"""

_FAMILY = """
    select 'it is the child of ' || i.inhparent::regclass
    from pg_inherits as i
    where i.inhrelid = to_regclass(%(relation)s)
    union all
    select 'it is the parent of ' || i.inhrelid::regclass
    from pg_inherits as i
    where i.inhparent = to_regclass(%(relation)s)
"""

_UNLOGGED = """
    select 'it is unlogged, and a crash of the server would empty it'
    from pg_class as c
    where c.oid = to_regclass(%s) and c.relpersistence <> 'p'
"""

_SCHEMA_PUBLISHED = """
    select p.pubname
    from pg_publication_namespace as pn
    inner join pg_publication as p on pn.pnpubid = p.oid
    inner join pg_class as c on pn.pnnspid = c.relnamespace
    where c.oid = to_regclass(%s)
"""

_HAS_KEY = """
    select count(*) > 0
    from pg_index as i
    inner join pg_attribute as a on i.indrelid = a.attrelid and i.indkey[0] = a.attnum
    where
        i.indrelid = to_regclass(%s)
        and i.indisunique
        and i.indisvalid
        and i.indnkeyatts = 1
        and i.indpred is null
        and a.attname = 'id'
        and a.attnotnull
"""

_MERGED = "select count(*) > 0 from ledger.merge_runs where legacy_table = %s and cutover_xid > 0"

WAY_OUT = "see what to do in docs/operations.md, under 'What stops an upgrade'"


def require_none(
    connection: Connection,
    relation: str,
    columns: Sequence[Column],
    by_meaning: Mapping[str, Carried],
    keys: Iterable[Key],
) -> None:
    """Refuse a legacy table that would lose something.

    Args:
        relation: its quoted name.
        columns: its columns as the catalog has them.
        by_meaning: by each column of the ledger the legacy one that gives its value.
        keys: its unique keys.

    Raises:
        NotReadyError: the sentence names the first thing that can't be carried.
    """
    for why in (
        *_in_columns(columns, by_meaning),
        *_around(connection, relation),
        *_triggers(connection, relation, columns),
        *(key.obstacle for key in keys if key.obstacle),
    ):
        raise refusal(relation, why)


def _in_columns(columns: Sequence[Column], by_meaning: Mapping[str, Carried]) -> Iterator[str]:
    types = {column.name: column.type for column in columns}
    if len(types) > _MOST_COLUMNS:
        yield f"it has {len(types)} columns, more than {_MOST_COLUMNS}"
    if types.get("id") not in _INTEGERS:
        yield "its column id is no integer" if "id" in types else "it has no column id"
    if types.get("user_id", "integer") not in _INTEGERS:
        yield f"its column user_id is {types['user_id']}, not an integer"
    for name, meaning in {"timestamp": "created_at or timestamp", "question": "message"}.items():
        if name not in by_meaning:
            wrong = [n for n in ("created_at", "timestamp", "message", "question") if n in types]
            kinds = " and ".join(
                f"its column {n} is {types[n]}" for n in wrong if n in meaning or n == name
            )
            yield kinds or f"it has no column {meaning}"
    cost = types.get("cost_estimate")
    if cost is not None and "cost_usd" not in by_meaning:
        yield f"its column cost_estimate is {cost}"
    for column in columns:
        if "%" in column.name:
            yield f"its column {column.name} has a per cent sign in its name"
        if column.name.startswith("omniledger_"):
            yield f"its column {column.name} has a name that the upgrade needs"
        if column.identity and column.name != "id":
            yield f"its column {column.name} is an identity beside the id"


def _around(connection: Connection, relation: str) -> Iterator[str]:
    if connection.execute(_HAS_KEY, (relation,)).fetchone() != (True,):
        yield "its id is no key: nothing keeps two rows from having the same id, or none"
    yield from standing.over(connection, relation, becomes_view=True)
    yield from uncarried(connection, relation)
    for (why,) in connection.execute(_AROUND, (relation,)):
        yield why
    yield from family(connection, relation)
    yield from unlogged(connection, relation)
    yield from subscribed(connection, relation)
    for (why,) in connection.execute(_POLICED_USERS, (relation,)):
        yield why
    if connection.info.server_version >= 150000:
        for (publication,) in connection.execute(_SCHEMA_PUBLISHED, (relation,)):
            yield f"its schema is part of the publication {publication}"


def _triggers(connection: Connection, relation: str, columns: Sequence[Column]) -> Iterator[str]:
    """Which triggers can't be carried.

    One that gives a row its id would never see the row: what comes without an id is the gateway's.
    """
    draws = any(c.name == "id" and (c.default or c.identity) for c in columns)
    for trigger in read_triggers(connection, relation):
        if trigger.obstacle:
            yield trigger.obstacle
        elif trigger.gives_id and not draws:
            yield f"its trigger {trigger.name} gives rows their id, which has no default"


def family(connection: Connection, relation: str) -> Iterator[str]:
    """Of whom a table inherits, and who inherits of it."""
    for (why,) in connection.execute(_FAMILY, {"relation": relation}):
        yield why


def unlogged(connection: Connection, relation: str) -> Iterator[str]:
    """Whether a crash empties a table.

    The old one would be empty while what was copied of it is there, and its ids would begin anew.
    """
    for (why,) in connection.execute(_UNLOGGED, (relation,)):
        yield why


def subscribed(connection: Connection, relation: str) -> Iterator[str]:
    """Which logical subscriptions write a table.

    Their worker goes by the table's own name and can't write a view; ids that it brings are none
    that the table's sequence knows.
    """
    for (why,) in connection.execute(_SUBSCRIBED, (relation,)):
        yield why


def policed(connection: Connection, relation: str) -> Iterator[str]:
    """Whether row level security may hide rows of a table from us."""
    if connection.execute(_ACTIVE_POLICIES, (relation,)).fetchone() == (True,):
        yield f"its row level security is for {connection.info.user}, too"


def require_our_view(connection: Connection, relation: str, name: str) -> None:
    """Refuse a view with the old name that the upgrade did not make.

    Raises:
        NotReadyError: it is somebody else's.
    """
    if is_there(connection, "ledger.merge_runs"):
        row = connection.execute(_MERGED, (name,)).fetchone()
        if row == (True,):
            return
    raise refusal(relation, "it is a view that the upgrade did not make")


def refusal(relation: str, why: str) -> NotReadyError:
    """The sentence with which an upgrade stops."""
    what, done = ("The old audit table", "merged")
    if relation.startswith(("omni2.", "auth_service.")):
        what, done = ("The table", "upgraded")
    return NotReadyError(
        f"{what} {relation} can't be {done} yet, because {why}; nothing was changed: {WAY_OUT}."
    )
