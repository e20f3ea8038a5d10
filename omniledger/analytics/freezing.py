"""Days that the source has pruned: what is published of them here stays, too.

The source never builds them again, whatever changes of prices or rules; a copy that still has
their rows would. So it notes them as a removal of its own, with the source's day and a transaction
id of its own. Until all that was copied of them is published here, it goes on building them.
"""

from __future__ import annotations

from datetime import datetime

from omniledger.database import Connection
from omniledger.pruning.deciding import last_published, pending
from omniledger.pruning.raw import TABLES, first_day_from
from omniledger.settings import Settings

_IS_NOTED = "select exists (select from ledger.prunings where before_at >= %s)"

_NOTE = """
    insert into ledger.prunings (before_date, before_at, built_xmin, finished_at)
    values (%s, %s, %s, now())
"""


def keep_published(connection: Connection, before_at: datetime, settings: Settings) -> None:
    """Note that days from before a moment, which the source has pruned, are never built again."""
    if connection.execute(_IS_NOTED, [before_at]).fetchone() == (True,):
        return
    before = first_day_from(before_at, settings.reporting_timezone)
    built_xmin, is_late_enough = last_published(connection, settings, before)
    if built_xmin is None or not is_late_enough:
        return
    if not any(pending(connection, table, before_at, built_xmin) for table in TABLES):
        connection.execute(_NOTE, [before, before_at, built_xmin])
