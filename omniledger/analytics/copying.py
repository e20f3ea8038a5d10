"""Take over what changed at the source since the last time, in one transaction.

Each row of the source's logs carries the transaction that wrote it last (`change_xid`), and each
copying keeps the oldest one that was still running there. So whatever was not visible then has that
number or a greater one, however late it committed: those rows are taken again, by their ids. Where
rows left, by DELETE or a changed time, the source has noted the quarter of an hour; the copy's
rows of those quarters whose ids are not there any more go, too.

The copy's own `change_xid` is the copying transaction's, here: for the models, the copy is a log
like any other, written by one writer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from omniledger.analytics import freezing
from omniledger.analytics.copied import FOREIGN, GATEWAY, LEDGER, LOGS, Table
from omniledger.analytics.link import Snapshot, require_attached, snapshot, speaking_of_source
from omniledger.catalog import columns_of
from omniledger.counting import plural
from omniledger.database import Connection
from omniledger.settings import Settings

_LAST = "select identity, oldest_xid, next_xid from ledger.ingests order by id desc limit 1"

_FROZEN = """
select coalesce(greatest(%s, max(before_at)), '-infinity')::text from ledger.prunings
"""

_WAS_EMPTIED = """
select exists (
    select
    from source.deleted_days
    where
        source_table = %s
        and period_start = '-infinity'
        and change_xid >= %s
        and change_xid < %s
)
"""

_NOTE_ALL = "insert into ledger.deleted_days (source_table, period_start) values (%s, '-infinity')"

_NOTE_DEPARTED = """
insert into ledger.deleted_days (source_table, period_start)
select distinct source_table, period_start
from source.deleted_days
where source_table = %(name)s and change_xid >= %(since)s and change_xid < %(until)s
"""

_DELETE_ALL = """
delete from {copy} where "timestamp" >= %(frozen)s::timestamptz or "timestamp" is null
"""

_TAKE = """
insert into {copy} ({columns})
select {columns}
from {foreign}
where ("timestamp" >= %(frozen)s::timestamptz or "timestamp" is null){changed}
on conflict (id) do update set {sets}, change_xid = default
"""
_CHANGED = " and change_xid >= %(since)s and change_xid < %(until)s"

# A row that a transaction wrote and another moved is gone from one quarter and in the other.
# `offset 0` has each range asked of the source by itself, where an index finds it.
_DELETE_DEPARTED = """
with

ranges as (

    select unnest(
        range_agg(tstzrange(period_start, period_start + interval '15 minutes'))
    ) as period
    from source.deleted_days
    where
        source_table = %(name)s
        and change_xid >= %(since)s
        and change_xid < %(until)s
        and period_start >= %(frozen)s::timestamptz

),

present as (

    select there.id
    from ranges
    cross join lateral (
        select id
        from {foreign}
        where "timestamp" >= lower(ranges.period) and "timestamp" < upper(ranges.period)
        offset 0
    ) as there

)

delete from {copy} as here
using ranges
where
    here."timestamp" >= lower(ranges.period)
    and here."timestamp" < upper(ranges.period)
    and not exists (select from present where present.id = here.id)
"""

_DELETE_DEPARTED_TIMELESS = """
delete from {copy}
where "timestamp" is null and id not in (select id from {foreign} where "timestamp" is null)
"""

_DIFFERS = """
select exists (
    (select {columns} from {copy} where {where} except all select {columns} from {foreign}
    where {where})
    union all
    (select {columns} from {foreign} where {where} except all select {columns} from {copy}
    where {where})
)
"""

_REPLACE = (
    "delete from {copy} where {where}",
    "insert into {copy} ({columns}) overriding system value"
    " select {columns} from {foreign} where {where}",
)

_KEEP = """
insert into ledger.ingests (identity, oldest_xid, next_xid, audit_rows, health_rows, why_all)
values (%s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class Copied:
    """What was taken over: rows of each log, and why all of them where it was not what changed."""

    rows: dict[str, int] = field(default_factory=dict)
    why_all: str | None = None

    @property
    def sentences(self) -> list[str]:
        said = [f"{plural(rows, 'row')} of {name} taken over" for name, rows in self.rows.items()]
        return said if self.why_all is None else [*said, f"all of them, because {self.why_all}"]


def copy_changes(connection: Connection, settings: Settings) -> Copied:
    """Bring the copy to what the source is now, all or nothing.

    Raises:
        NotReadyError: the database isn't attached, or the source is at another revision.
        PassingError: the source went away; nothing was taken over.
    """
    require_attached(connection)
    with speaking_of_source(), connection.transaction():
        now = snapshot(connection)
        if now.pruned_before is not None:
            freezing.keep_published(connection, now.pruned_before, settings)
        last = connection.execute(_LAST).fetchone()
        why_all = _why_all(now, last)
        [(frozen,)] = connection.execute(_FROZEN, [now.pruned_before]).fetchall()
        since = None if last is None or why_all else int(last[1])
        rows = {log.name: _copy_log(connection, log, now, since, frozen) for log in LOGS}
        for table in (*GATEWAY, *LEDGER):
            _copy_small(connection, table)
        connection.execute(
            _KEEP, [now.identity, now.oldest_xid, now.next_xid, *rows.values(), why_all]
        )
    return Copied(rows, why_all)


def _why_all(now: Snapshot, last: tuple[Any, ...] | None) -> str | None:
    """Why transaction ids from the last time say nothing of the source as it is now."""
    if last is None:
        return "there is no copy yet"
    identity, _, next_xid = last
    if identity != now.identity:
        return "the source is another server, database or timeline than the last time"
    if next_xid > now.next_xid:
        return "the source's transaction ids went back, as after a restore from a backup"
    return None


def _copy_log(
    connection: Connection, log: Table, now: Snapshot, since: int | None, frozen: str
) -> int:
    """Copy one log; days from before `frozen` stay as they are, for their rows were removed."""
    if since is not None:
        window = [log.name, since, now.next_xid]
        if connection.execute(_WAS_EMPTIED, window).fetchone() == (True,):
            since = None
    values = {"name": log.name, "since": since, "until": now.next_xid, "frozen": frozen}
    names = _columns(connection, log)
    sets = [n for n in names if n not in ("id", "change_xid")]
    parts: dict[str, sql.Composable] = {
        "copy": log.copy,
        "foreign": log.foreign,
        "columns": _list(n for n in names if n != "change_xid"),
        "sets": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in sets
        ),
        "changed": sql.SQL("" if since is None else _CHANGED),
    }
    if since is None:
        connection.execute(_NOTE_ALL, [log.name])
        connection.execute(sql.SQL(_DELETE_ALL).format(**parts), values)
    else:
        connection.execute(_NOTE_DEPARTED, values)
    rows = connection.execute(sql.SQL(_TAKE).format(**parts), values).rowcount
    if since is not None:
        connection.execute(sql.SQL(_DELETE_DEPARTED).format(**parts), values)
        connection.execute(sql.SQL(_DELETE_DEPARTED_TIMELESS).format(**parts))
    return rows


def _copy_small(connection: Connection, table: Table) -> None:
    columns = _columns(connection, table)
    if not columns:
        return
    parts: dict[str, sql.Composable] = {
        "copy": table.copy,
        "foreign": table.foreign,
        "columns": _list(columns),
        "where": sql.SQL(table.where),
    }
    if connection.execute(sql.SQL(_DIFFERS).format(**parts)).fetchone() == (True,):
        for statement in _REPLACE:
            connection.execute(sql.SQL(statement).format(**parts))


def _columns(connection: Connection, table: Table) -> list[str]:
    return list(columns_of(connection, f"{FOREIGN}.{table.name}"))


def _list(names: Any) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
