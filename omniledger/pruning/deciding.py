"""Whether raw rows may go: judged, published, billed; and the record that they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from psycopg import sql

from omniledger import revisions
from omniledger.database import Connection
from omniledger.errors import NotReadyError, SettingsError
from omniledger.inspection import clock
from omniledger.marts import MARTS, PUBLISHED, changed_days, columns_in
from omniledger.merging.carrying import is_pending
from omniledger.pruning.raw import TABLES, RawTable, starts_at
from omniledger.settings import Settings

_SPARE_DAYS = 3
"""How many days more than the hourly health stay whole, for events that arrive late."""

_UNFINISHED = """
    select pruning_id, begun_at, before_date, before_at, archive
    from ledger.prunings
    where finished_at is null
"""

_NEWEST = "select max(before_date) from ledger.prunings where finished_at is not null"

# Other transaction ids would say nothing of these: rows that came late could not be told.
_FORGET_OTHER_CLUSTER = """
    update ledger.prunings set built_xmin = 0
    where built_xmin > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""

# What had ended when a run began is in all that it published; of another cluster's ids, nothing is.
_RUN = """
    select
        case
            when xmin <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint then xmin
        end,
        started_at >= %(since)s
    from (
        select (figures ->> 'xmin')::bigint as xmin, started_at
        from ledger.runs
        where verdict = 'published'
        order by started_at desc
        limit 1
    ) as run
"""

_PENDING = """
    select (
        select count(*)
        from omni2.{table}
        where
            timestamp < %(before_at)s
            and change_xid >= %(built_xmin)s
            and change_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
            and timestamp >= coalesce(
                (select max(before_at) from ledger.prunings), {since}
            )
    ) + (
        select count(*)
        from ledger.deleted_days
        where
            source_table = {name}
            and period_start < %(before_at)s
            and period_start >= coalesce(
                (select max(before_at) from ledger.prunings), '-infinity'
            )
            and change_xid >= %(built_xmin)s
    )
"""

# Days of the ledger's money from the first billed day on, and days that only the bill knows.
_UNSETTLED = """
    with billed as (
        select bill_date, bool_and(is_settled) as is_settled
        from {bill}
        group by 1
    ),

    used as (
        select distinct x_utc_date as bill_date
        from {focus}
        where usage_date < %(before)s
        union
        select bill_date from billed
        where bill_date < %(before)s
    )

    select used.bill_date
    from used
    left join billed using (bill_date)
    where
        used.bill_date >= (select min(first.bill_date) from billed as first)
        and billed.is_settled is not true
    order by 1
"""

_BEGIN = """
    insert into ledger.prunings (before_date, before_at, built_xmin, archive)
    values (%(before)s, %(before_at)s, %(built_xmin)s, %(archive)s)
    returning pruning_id, begun_at
"""

# The first day that stays is computed with the events of the day before it, and with what still
# held at its beginning.
_NOTE_SERVERS = """
    insert into ledger.pruned_servers as noted (mcp_server_id, first_event_at, pruned_until)
    select
        mcp_server_id,
        first_event_at,
        least(
            %(before_at)s - interval '2 days'
            - interval '1 second' * max(longest_hold_seconds) over (),
            last_event_at - interval '2 days'
        )
    from {servers}
    where first_event_at < %(before_at)s
    on conflict (mcp_server_id) do update
    set
        first_event_at = least(noted.first_event_at, excluded.first_event_at),
        pruned_until = greatest(noted.pruned_until, excluded.pruned_until)
"""


@dataclass(frozen=True)
class Pruning:
    """A removal that was decided: rows from before `before_at`, which begins the day `before`.

    `archive` is the folder that the rows are written to first, if they are.
    """

    pruning_id: int
    begun_at: datetime
    before: date
    before_at: datetime
    archive: Path | None

    @property
    def mark(self) -> str:
        """What tells it from removals of other databases."""
        return f"{self.pruning_id} {self.begun_at.isoformat()}"


def first_kept(connection: Connection, settings: Settings, keep_days: int) -> date:
    """The first day that stays where `keep_days` whole days before today do."""
    zone = ZoneInfo(settings.reporting_timezone)
    return clock.now(connection).astimezone(zone).date() - timedelta(days=keep_days)


def unfinished(connection: Connection) -> Pruning | None:
    """The removal that was begun and not ended, if any.

    Raises:
        NotReadyError: the database isn't upgraded.
    """
    revisions.require_head(connection)
    row = connection.execute(_UNFINISHED).fetchone()
    if row is None:
        return None
    pruning_id, begun_at, before, before_at, archive = row
    return Pruning(pruning_id, begun_at, before, before_at, Path(archive) if archive else None)


def decide(
    connection: Connection,
    settings: Settings,
    before: date,
    *,
    archive: Path | None = None,
    unbilled: bool = False,
) -> Pruning | None:
    """Record that the rows from before a day go; from then on its figures are never built again.

    Args:
        connection: in a transaction, while no run is at work.
        before: the first reporting day that stays.
        archive: the folder that the rows are written to first.
        unbilled: whether days go, too, of which a bill is still to come.

    Returns:
        None where everything before that day went already.

    Raises:
        NotReadyError: figures of those days aren't published, or their bill isn't settled.
        SettingsError: the marts still need those days.
    """
    revisions.require_head(connection)
    if is_pending(connection, settings):
        raise NotReadyError(
            "The old audit table isn't merged yet; run `omniledger merge run`, then prune."
        )
    _require_old(connection, settings, before)
    newest = connection.execute(_NEWEST).fetchone()
    if newest is not None and newest[0] is not None and before <= newest[0]:
        return None
    connection.execute(_FORGET_OTHER_CLUSTER)
    before_at = starts_at(before, settings.reporting_timezone)
    built_xmin = _require_published(connection, settings, before, before_at)
    if not unbilled:
        _require_settled(connection, before)
    values = {
        "before": before,
        "before_at": before_at,
        "built_xmin": built_xmin,
        "archive": None if archive is None else str(archive),
    }
    [(pruning_id, begun_at)] = connection.execute(_BEGIN, values).fetchall()
    servers = sql.Identifier(PUBLISHED, "dim_mcp_servers")
    connection.execute(sql.SQL(_NOTE_SERVERS).format(servers=servers), values)
    return Pruning(pruning_id, begun_at, before, before_at, archive)


def _require_old(connection: Connection, settings: Settings, before: date) -> None:
    least = settings.health_hourly_days + _SPARE_DAYS
    latest = first_kept(connection, settings, least)
    if before > latest:
        raise SettingsError(
            f"The rows of the last {least} days are still needed; prune before {latest} or earlier."
        )


def _require_published(
    connection: Connection, settings: Settings, before: date, before_at: datetime
) -> int:
    """The transaction id before which everything written is in the published figures."""
    for mart in MARTS:
        if not columns_in(connection, PUBLISHED, mart):
            raise NotReadyError(
                f"{PUBLISHED}.{mart.name} isn't there; `omniledger run` publishes it, then prune."
            )
        for day in changed_days(connection, mart) if mart.day else ():
            if day < before:
                raise NotReadyError(
                    f"{mart.name} of {day} isn't published as it was built; `omniledger run` "
                    "judges and publishes it, then prune."
                )
    # Days without a row have figures, too, and the last of them hours that a later run takes off.
    settled = before + timedelta(days=settings.health_hourly_days)
    since = starts_at(settled, settings.reporting_timezone)
    row = connection.execute(_RUN, {"since": since}).fetchone()
    if row is None or row[0] is None:
        raise NotReadyError("No run of this omniledger is published; `omniledger run`, then prune.")
    if not row[1]:
        raise NotReadyError(
            f"The last published run was before {settled}, so that the health of those days isn't "
            "built to its end; `omniledger run` builds and publishes it, then prune."
        )
    built_xmin = int(row[0])
    for table in TABLES:
        _require_built(connection, table, before_at, built_xmin)
    return built_xmin


def _require_built(
    connection: Connection, table: RawTable, before_at: datetime, built_xmin: int
) -> None:
    query = sql.SQL(_PENDING).format(
        table=sql.Identifier(table.name),
        name=sql.Literal(table.name),
        since=sql.Literal(table.since),
    )
    values = {"before_at": before_at, "built_xmin": built_xmin}
    [(pending,)] = connection.execute(query, values).fetchall()
    if pending:
        raise NotReadyError(
            f"Since the figures were built, {pending:,} rows of those days were written to or left "
            f"omni2.{table.name}; `omniledger run` brings them into the figures, then prune."
        )


def _require_settled(connection: Connection, before: date) -> None:
    query = sql.SQL(_UNSETTLED).format(
        bill=sql.Identifier(PUBLISHED, "fct_bill_reconciliation"),
        focus=sql.Identifier(PUBLISHED, "fct_focus"),
    )
    unsettled = [day for (day,) in connection.execute(query, {"before": before})]
    if unsettled:
        raise NotReadyError(
            f"The bill of {unsettled[0]} isn't settled yet ({len(unsettled)} such days); import "
            "it again 31 days later, prune before that day, or say --unbilled."
        )
