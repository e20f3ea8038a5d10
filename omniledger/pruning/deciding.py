"""Whether raw rows may go: judged, published, billed; and the record that they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from psycopg import sql

from omniledger import revisions
from omniledger.counting import plural
from omniledger.database import Connection
from omniledger.errors import NotReadyError, SettingsError
from omniledger.marts import MARTS, PUBLISHED, changed_days, columns_in
from omniledger.merging.carrying import is_pending
from omniledger.pruning.raw import TABLES, RawTable, first_kept, starts_at
from omniledger.settings import Settings

_SPARE_DAYS = 3
"""How many days more than the hourly health stay whole, for events that arrive late."""

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
    require_old(connection, settings, before)
    newest = connection.execute(_NEWEST).fetchone()
    if newest is not None and newest[0] is not None and before <= newest[0]:
        return None
    forget_other_cluster(connection)
    before_at = starts_at(before, settings.reporting_timezone)
    built_xmin = require_published(connection, settings, before)
    for table in TABLES:
        _require_built(connection, table, before_at, built_xmin)
    if not unbilled:
        require_settled(connection, before)
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


def forget_other_cluster(connection: Connection) -> None:
    """Let no transaction id of another cluster say which rows may go."""
    connection.execute(_FORGET_OTHER_CLUSTER)


def require_old(connection: Connection, settings: Settings, before: date) -> None:
    """Refuse days that the marts still need.

    Raises:
        SettingsError: it names the latest day before which rows may go.
    """
    least = settings.health_hourly_days + _SPARE_DAYS
    latest = first_kept(connection, settings, least)
    if before > latest:
        raise SettingsError(
            f"The rows of the last {least} days are still needed; prune before {latest} or earlier."
        )


def require_published(connection: Connection, settings: Settings, before: date) -> int:
    """The transaction id before which everything written is in the published figures.

    Raises:
        NotReadyError: figures of those days aren't published as they were built.
    """
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
    xmin, is_late_enough = last_published(connection, settings, before)
    if xmin is None:
        raise NotReadyError("No run of this omniledger is published; `omniledger run`, then prune.")
    if not is_late_enough:
        settled = _settled(settings, before)
        raise NotReadyError(
            f"The last published run was before {settled}, so that the health of those days isn't "
            "built to its end; `omniledger run` builds and publishes it, then prune."
        )
    return xmin


def last_published(
    connection: Connection, settings: Settings, before: date
) -> tuple[int | None, bool]:
    """The transaction id before which the last published run had everything, if one is published.

    Returns:
        And whether it began late enough for the days before `before` to be built to their end.
    """
    since = starts_at(_settled(settings, before), settings.reporting_timezone)
    row = connection.execute(_RUN, {"since": since}).fetchone()
    return (None, False) if row is None else (row[0], row[1])


def _settled(settings: Settings, before: date) -> date:
    """The day from which on a run builds the days before `before` to their end."""
    # Days without a row have figures, too, and the last of them hours that a later run takes off.
    return before + timedelta(days=settings.health_hourly_days)


def _require_built(
    connection: Connection, table: RawTable, before_at: datetime, built_xmin: int
) -> None:
    came = pending(connection, table, before_at, built_xmin)
    if came:
        raise NotReadyError(
            f"Since the figures were built, {plural(came, 'row')} of those days came to or left "
            f"omni2.{table.name}; `omniledger run` takes that into the figures, then prune."
        )


def pending(connection: Connection, table: RawTable, before_at: datetime, built_xmin: int) -> int:
    """How many rows came or left, from before a moment, since figures were built."""
    query = sql.SQL(_PENDING).format(
        table=sql.Identifier(table.name),
        name=sql.Literal(table.name),
        since=sql.Literal(table.since),
    )
    values = {"before_at": before_at, "built_xmin": built_xmin}
    [(rows,)] = connection.execute(query, values).fetchall()
    return int(rows)


def require_settled(connection: Connection, before: date) -> None:
    """Refuse days of which a bill isn't settled.

    Raises:
        NotReadyError: it names the first.
    """
    query = sql.SQL(_UNSETTLED).format(
        bill=sql.Identifier(PUBLISHED, "fct_bill_reconciliation"),
        focus=sql.Identifier(PUBLISHED, "fct_focus"),
    )
    unsettled = [day for (day,) in connection.execute(query, {"before": before})]
    if unsettled:
        days = plural(len(unsettled), "such day")
        raise NotReadyError(
            f"No settled bill of {unsettled[0]} was imported ({days}); "
            "import it 31 days after that day or later, prune before that day, or say --unbilled."
        )
