"""How many there are: said, counted where that is quick, else what the planner expects."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from omniledger.database import Connection


@dataclass(frozen=True)
class Count:
    """How many rows; `is_exact` says whether they were counted."""

    rows: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.rows:,}" if self.is_exact else f"about {self.rows:,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 day`, `2 days`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def counted(connection: Connection, rows: sql.Composable) -> Count:
    """Count them all.

    Args:
        rows: what follows `select`, beginning with `from`.
    """
    row = connection.execute(sql.SQL("select count(*) {}").format(rows)).fetchone()
    return Count(int(row[0]) if row else 0, True)


def estimated(connection: Connection, rows: sql.Composable) -> Count:
    """What the planner expects, from the table's size and its statistics; it reads no row.

    Args:
        rows: what follows `select`, beginning with `from`.
    """
    query = sql.SQL("explain (format json) select {}").format(rows)
    row = connection.execute(query).fetchone()
    return Count(int(row[0][0]["Plan"]["Plan Rows"]) if row else 0, False)
