"""The time zone whose days stay for good, once raw rows were removed."""

from __future__ import annotations

from omniledger.database import Connection
from omniledger.errors import SettingsError
from omniledger.moments import in_utc
from omniledger.pruning.raw import first_day_from, starts_at

# Before figures remembered their zone, the last run's was theirs, unless that was refused.
_REMOVED = """
select (select max(before_at) from ledger.prunings), value
from ledger.settings
where name in ('published_reporting_timezone', 'reporting_timezone')
order by name
limit 1
"""


def require_same_days(connection: Connection, timezone: str) -> None:
    """Refuse another time zone than that of the days whose raw rows were removed.

    Those days stay as they were published, and days of another zone end and begin in the midst of
    them: requests about the first day that is still built would be in no day, or in two. A zone in
    which that day begins at the same moment is none.

    Raises:
        SettingsError: the zone is another one.
    """
    row = connection.execute(_REMOVED).fetchone()
    if row is None or row[0] is None or row[1] == timezone:
        return
    before_at, published = row
    theirs, ours = (
        starts_at(first_day_from(before_at, zone), zone) for zone in (published, timezone)
    )
    if theirs != ours:
        raise SettingsError(
            f"The raw rows from before {in_utc(before_at)} were removed, and figures that stay "
            f"are of days in {published}: with days in {timezone} requests would be counted "
            f"twice, or not at all; set OMNILEDGER_REPORTING_TIMEZONE to {published}."
        )
