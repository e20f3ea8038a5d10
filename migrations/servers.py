"""The list of servers that requests reached, for the rows from before there was a trigger."""

from omniledger.database import Connection

_BATCH = 50_000
"""Ids of one transaction: a few tenths of a second."""

_ENDS = "select min(id), max(id) from omni2.audit_logs"
_LIST = """
    insert into ledger.audit_servers (server_name, failed, timestamp, audit_id)
    select n.server_name, a.success is not true, a.timestamp, a.id
    from omni2.audit_logs as a
    cross join lateral unnest(a.mcps_accessed::text[]) as n (server_name)
    where
        a.id >= %s and a.id < %s
        and a.timestamp is not null
        and n.server_name <> coalesce(a.mcp_target, '') and length(n.server_name) <= 255
    on conflict do nothing
"""


def list_servers(connection: Connection) -> None:
    """List what rows from before reached; repeatable, and without a lock.

    A row that is changed meanwhile may leave a line that is no longer true; who reads the list
    asks the row.

    Args:
        connection: in autocommit.
    """
    [(first, last)] = connection.execute(_ENDS).fetchall()
    if first is not None:
        for start in range(first, last + 1, _BATCH):
            connection.execute(_LIST, (start, start + _BATCH))
