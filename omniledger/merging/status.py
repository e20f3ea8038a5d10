"""Where the merge stands, asked cheaply: what would take long is estimated and called so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from migrations import turns
from migrations.legacy import ARCHIVE, Legacy
from omniledger import revisions
from omniledger.catalog import is_there, kind_of
from omniledger.certificate import sentence
from omniledger.counting import Count, counted, estimated
from omniledger.database import Connection
from omniledger.settings import Settings

_COUNT_FOR_MS = 1_000
"""How long a count may take before an estimate stands in for it."""

_RUN = """
    select legacy_table, started_at, finished_at, rows_total, rows_copied, rows_matched,
        rows_quarantined, rows_ambiguous, users_unmapped, holds, detail, cutover_xid,
        exists (select from pg_trigger where tgname = 'omniledger_watch') as is_watched
    from ledger.merge_runs
    order by id desc
    limit 1
"""

# One probe of the index for each user, however many rows they have.
_UNMAPPED = """
    with recursive seen as (
        (select min(legacy_user_id) as id from omni2.audit_logs where legacy_user_id is not null)
        union all
        select (
            select min(a.legacy_user_id)
            from omni2.audit_logs as a
            where a.legacy_user_id is not null and a.legacy_user_id > seen.id
        )
        from seen
        where seen.id is not null
    )

    select id from seen where id is not null and ledger.resolve_user(id) is null order by 1
"""

_QUARANTINE = "select reason, count(*) from ledger.audit_quarantine group by 1 order by 2 desc, 1"
_DELETED = "select count(distinct legacy_id) from ledger.audit_tombstones"


LOST = "revision lost"
"""The state where nothing says to which revision the ledger was upgraded."""


@dataclass(frozen=True)
class Status:
    """Where the merge stands.

    Attributes:
        state: not begun, watching, copying, cut over, certified, not proved, taken back, or
            `LOST`.
        at_work: whether an upgrade or a merge runs now.
        done: old rows that are in the ledger or in quarantine.
        total: old rows in all.
        deleted: old ids whose rows were deleted since the cut over.
        quarantine: rows by the reason why the ledger can't hold them.
        unmapped: users under the old name who are nobody among the gateway's.
    """

    state: str
    at_work: bool
    legacy_table: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    done: Count | None = None
    total: Count | None = None
    certificate: str | None = None
    ambiguous: int | None = None
    deleted: int = 0
    quarantine: dict[str, int] | None = None
    unmapped: int = 0


def read(connection: Connection, settings: Settings) -> Status:
    """Ask where the merge of the settings' old table stands.

    Args:
        connection: an autocommit connection.
    """
    legacy = Legacy(settings.legacy_schema, ())
    at_work = turns.is_taken(connection)
    name = f"{legacy.schema}.audit_logs"
    if revisions.is_lost(connection, revisions.current(connection)):
        return Status(LOST, at_work, name)
    run = _last_run(connection)
    if run is None:
        return Status("not begun", at_work, name, total=_counted(connection, legacy.relation))
    if not is_there(connection, "omni2.audit_logs"):
        return Status("omni2.audit_logs is not there", at_work, name)
    state = _state(connection, legacy, run)
    if state == "taken back":
        return Status(state, at_work, name, total=_counted(connection, legacy.relation))
    is_cut_over = run["cutover_xid"] is not None
    old = f"ledger.{ARCHIVE}" if is_cut_over else legacy.relation
    aside = quarantined(connection)
    return Status(
        state=state,
        at_work=at_work,
        legacy_table=run["legacy_table"],
        started_at=run["started_at"],
        finished_at=run["finished_at"],
        done=None if is_cut_over else _done(connection, aside),
        total=None if run["rows_total"] is not None else _counted(connection, old),
        certificate=_certificate(run),
        ambiguous=run["rows_ambiguous"],
        deleted=_one(connection, _DELETED),
        quarantine=aside,
        unmapped=len(unmapped_users(connection)),
    )


def unmapped_users(connection: Connection) -> list[int]:
    """The ids under the old name, of rows in the ledger, who are nobody among the gateway's."""
    return [row[0] for row in connection.execute(_UNMAPPED)]


def quarantined(connection: Connection) -> dict[str, int]:
    """How many rows of the old table are set aside, by reason; the most frequent first."""
    return dict(connection.execute(_QUARANTINE).fetchall())


def _last_run(connection: Connection) -> dict[str, Any] | None:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        try:
            return cursor.execute(_RUN).fetchone()
        except psycopg.errors.UndefinedTable:
            return None


def _state(connection: Connection, legacy: Legacy, run: dict[str, Any]) -> str:
    if run["cutover_xid"] is not None:
        is_table = kind_of(connection, legacy.relation) == "r"
        archived = is_there(connection, f"ledger.{ARCHIVE}")
        if is_table and not archived:
            return "taken back"
        if run["holds"] is None:
            return "cut over, not certified"
        return "certified" if run["holds"] else "not proved"
    if not run["is_watched"]:
        return "begun"
    has_rows = "select exists (select from omni2.audit_logs where legacy_id is not null)"
    return "copying" if _one(connection, has_rows) else "watching"


def _done(connection: Connection, quarantine: dict[str, int]) -> Count:
    brought = _counted(connection, "omni2.audit_logs", "where legacy_id is not null")
    return Count(brought.rows + sum(quarantine.values()), brought.is_exact)


def _certificate(run: dict[str, Any]) -> str | None:
    if run["rows_total"] is None:
        return None
    return sentence(
        total=run["rows_total"],
        copied=run["rows_copied"],
        matched=run["rows_matched"],
        quarantined=run["rows_quarantined"],
        holds=run["holds"],
        detail=run["detail"],
    )


def _counted(connection: Connection, relation: str, where: str = "") -> Count:
    """The rows of a relation, by its quoted name: counted where that is quick, else estimated."""
    if not is_there(connection, relation):
        return Count(0, True)
    rows = sql.SQL("from {} {}").format(sql.SQL(relation), sql.SQL(where))
    try:
        with connection.transaction():
            connection.execute(f"set local statement_timeout = {_COUNT_FOR_MS}".encode())
            return counted(connection, rows)
    except psycopg.errors.QueryCanceled:
        return estimated(connection, rows)


def _one(connection: Connection, query: str | sql.Composed, *values: object) -> Any:
    text = query.encode() if isinstance(query, str) else query
    row = connection.execute(text, values or None).fetchone()
    return None if row is None else row[0]
