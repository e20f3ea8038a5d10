"""Who is who, and what they may spend, as the gateway's tables say now."""

from __future__ import annotations

from omniledger.database import Connection


def map_users(connection: Connection) -> int:
    """Find the gateway's user of people who are new in the chat log.

    Returns:
        How many were found.
    """
    row = connection.execute("select ledger.map_users()").fetchone()
    return int(row[0]) if row else 0


def note_limits(connection: Connection) -> None:
    """Look which tables say what users may spend, and note what changed."""
    connection.execute("select ledger.refresh_limits()")
    connection.execute("select ledger.note_limits()")
