"""What the gateway's own tables must be like, looked at before an upgrade changes anything."""

from __future__ import annotations

from collections.abc import Iterator

from migrations.bounds import LOOSENED
from migrations.columns import read_columns
from migrations.obstacles import KINDS, family, policed, refusal, subscribed, unlogged
from omniledger.catalog import kind_of
from omniledger.database import Connection

_INTEGER = ("integer", "bigint", "smallint")
_NUMBER = (*_INTEGER, "numeric")
_TEXT = ("text", "character varying", "character")
_TIME = ("timestamp with time zone",)
_BOOLEAN = ("boolean",)
_ANY: tuple[str, ...] = ()
"""What is cast where it is read: a status that is an enumeration, say."""

_NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "omni2.audit_logs": {
        "id": _INTEGER,
        "user_id": _INTEGER,
        "timestamp": _TIME,
        "question": _TEXT,
        "mcp_target": _TEXT,
        "tool_called": _ANY,
        "tool_params": _ANY,
        "success": _BOOLEAN,
        "duration_ms": _ANY,
        "result_summary": _ANY,
        "error_message": _ANY,
        "llm_tokens_used": _NUMBER,
        "was_blocked": _BOOLEAN,
    },
    "omni2.mcp_health_log": {
        "id": _INTEGER,
        "mcp_server_id": _INTEGER,
        "timestamp": _TIME,
        "status": _ANY,
        "response_time_ms": _ANY,
        "error_message": _ANY,
        "meta_data": _ANY,
        "event_type": _ANY,
    },
    "omni2.mcp_servers": {"id": _INTEGER, "name": _TEXT},
    "auth_service.users": {"id": _INTEGER, "email": _ANY},
}
"""What is read of each table, and the types it may have."""

LEDGER = "omni2.audit_logs"
_CHANGED = ("omni2.audit_logs", "omni2.mcp_health_log")
"""Those that get columns, triggers and indexes; what is only read may be a view, too."""


# A column of a key, or of what names a row to a subscriber, can't be without a value.
_IN_KEY = """
    select
        format(
            'its %%s holds the column %%s',
            case when i.indisprimary then 'primary key' else 'replica identity' end, a.attname
        )
    from pg_index as i
    inner join pg_attribute as a
        on i.indrelid = a.attrelid and a.attnum = any(i.indkey::smallint[])
    where
        i.indrelid = to_regclass(%s)
        and (i.indisprimary or i.indisreplident)
        and a.attname <> 'id'
        and (a.attname = any(%s) or not a.atthasdef)
    order by a.attnum
"""

# The server refuses an update of a table of which a publication shows some rows, or some columns,
# unless what names a row says whether it is one of those. It came with PostgreSQL 15.
_PART_PUBLISHED = """
    with named as (
        select
            c.oid,
            a.attnum
        from pg_class as c
        inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0
        left join pg_index as i
            on
                c.oid = i.indrelid
                and case c.relreplident when 'd' then i.indisprimary else i.indisreplident end
        where
            c.oid = to_regclass(%s)
            and (c.relreplident = 'f' or a.attnum = any(i.indkey::smallint[]))
    )

    select
        format(
            'the publication %%s has %%s of it only, so that no row could be updated',
            p.pubname, case when pr.prqual is null then 'columns' else 'rows' end
        )
    from pg_publication_rel as pr
    inner join pg_publication as p on pr.prpubid = p.oid
    where
        pr.prrelid = to_regclass(%s)
        and (p.pubupdate or p.pubdelete)
        and (
            pr.prqual is not null and exists (
                select from pg_depend as d
                where
                    d.classid = 'pg_publication_rel'::regclass
                    and d.objid = pr.oid
                    and d.refobjid = pr.prrelid
                    and d.refobjsubid > 0
                    and d.refobjsubid not in (select n.attnum from named as n)
            )
            or pr.prattrs is not null and exists (
                select from named as n
                where n.attnum <> all(pr.prattrs::smallint[])
            )
        )
    order by 1
"""

# Nor does it update or delete a row that nothing names, where a publication has such changes.
_NAMELESS = """
    select format('the publication %%s has its changes, and nothing names its rows', p.pubname)
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_publication_tables as t on n.nspname = t.schemaname and c.relname = t.tablename
    inner join pg_publication as p on t.pubname = p.pubname
    where
        c.oid = to_regclass(%s)
        and (p.pubupdate or p.pubdelete)
        and case c.relreplident
            when 'f' then false
            when 'n' then true
            else not exists (
                select from pg_index as i
                where
                    c.oid = i.indrelid
                    and case c.relreplident when 'd' then i.indisprimary else i.indisreplident end
            )
        end
    order by 1
"""


def require_fit(connection: Connection) -> None:
    """Refuse gateway tables that can't be upgraded, or that the ledger couldn't be read from.

    Raises:
        NotReadyError: the sentence names the first thing; nothing was changed.
    """
    for table in _NEEDED:
        for why in _unfit(connection, table):
            raise refusal(table, why)


def _unfit(connection: Connection, table: str) -> Iterator[str]:
    kind = kind_of(connection, table)
    if kind is None:
        return  # The first revision makes it.
    if table in _CHANGED:
        if kind != "r":
            yield {**KINDS, "v": "it is a view"}[kind]
        yield from family(connection, table)
    if table == LEDGER:
        yield from _unfit_ledger(connection)
    yield from policed(connection, table)
    types = {column.name: column.type for column in read_columns(connection, table)}
    for name, allowed in _NEEDED[table].items():
        if name not in types:
            yield f"it has no column {name}"
        elif allowed and types[name].partition("(")[0] not in allowed:
            yield f"its column {name} is {types[name]}, not {allowed[0]}"


def _unfit_ledger(connection: Connection) -> Iterator[str]:
    """What forbids rows without a value, or rows that are written anew."""
    yield from unlogged(connection, LEDGER)
    yield from subscribed(connection, LEDGER)
    for (why,) in connection.execute(_IN_KEY, (LEDGER, list(LOOSENED))):
        yield why
    for (why,) in connection.execute(_NAMELESS, (LEDGER,)):
        yield why
    if connection.info.server_version >= 150000:
        for (why,) in connection.execute(_PART_PUBLISHED, (LEDGER, LEDGER)):
            yield why
