"""What an analytics server knows of its source, without its password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from omniledger.analytics.copied import LOGS, SERVER
from omniledger.analytics.link import is_attached, is_copy, snapshot, speaking_of_source
from omniledger.database import Connection
from omniledger.errors import OmniledgerError

_OPTIONS = """
select option_name, option_value
from pg_foreign_server, pg_options_to_table(srvoptions)
where srvname = %s and option_name in ('host', 'port', 'dbname')
"""

_LAST = """
select taken_at, identity, oldest_xid, audit_rows, health_rows, why_all
from ledger.ingests
order by id desc
limit 1
"""

_BEHIND = """
select count(*) from source.{name} where change_xid >= %s and change_xid < %s
"""


@dataclass(frozen=True)
class Status:
    """Where the source is, when it was copied last, and whether it can be read now.

    `rows_behind` are rows of the logs that changed since; None where all would be taken.
    """

    is_attached: bool
    source: str | None = None
    is_readable: bool | None = None
    trouble: str | None = None
    taken_at: datetime | None = None
    rows_taken: int | None = None
    why_all: str | None = None
    is_same_source: bool | None = None
    rows_behind: int | None = None
    was_detached: bool = False


def read(connection: Connection) -> Status:
    """Look at the link and at the last copy."""
    if not is_attached(connection):
        return Status(False, was_detached=is_copy(connection))
    options: dict[str, str] = dict(connection.execute(_OPTIONS, [SERVER]).fetchall())
    source = f"{options['dbname']} on {options['host']}:{options['port']}"
    last = connection.execute(_LAST).fetchone()
    found: dict[str, Any] = {"source": source}
    if last is not None:
        taken_at, identity, oldest_xid, audit_rows, health_rows, why_all = last
        found |= {
            "taken_at": taken_at,
            "rows_taken": audit_rows + health_rows,
            "why_all": why_all,
        }
    try:
        with connection.transaction(), speaking_of_source():
            now = snapshot(connection)
            found["is_readable"] = True
            if last is not None:
                found["is_same_source"] = identity == now.identity
                if identity == now.identity:
                    found["rows_behind"] = sum(
                        int(
                            connection.execute(
                                _BEHIND.format(name=log.name).encode(), [oldest_xid, now.next_xid]
                            ).fetchall()[0][0]
                        )
                        for log in LOGS
                    )
    except OmniledgerError as error:
        found |= {"is_readable": False, "trouble": str(error)}
    return Status(True, **found)
