"""What an analytics server's copy of the ledger costs: the first one, a day's, deletes, nothing.

    .venv/bin/python -m benchmarks.remote [--rows 1000000]

Two embedded servers of one machine, linked over loopback; the rows are those of
`benchmarks.refresh`. Beside the first copy stands one INSERT … SELECT of the copied rows into
another table of the analytics server with the same indexes, without a link.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.database import fresh_database, write
from benchmarks.refresh import DAYS, ROWS_A_DAY, USERS, grow
from omniledger.analytics import attaching
from omniledger.analytics.copying import copy_changes
from omniledger.database import Dsn, session
from omniledger.settings import Settings

LOCAL = """
create table public.beside (like source.audit_logs);
alter table public.beside add primary key (id);
create index on public.beside (timestamp);
create index on public.beside (mcp_target, timestamp desc);
create index on public.beside (user_id, timestamp);
create index on public.beside using brin (change_xid int8_minmax_multi_ops);
"""

GONE = "delete from omni2.audit_logs where id % 50 = 0 and timestamp >= '2026-02-20'"


def timed(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def copy(dsn: Dsn) -> int:
    with session(dsn) as connection:
        return copy_changes(connection, Settings()).rows["audit_logs"]


def beside(dsn: Dsn) -> float:
    """Seconds of the same rows from one table of a server into another."""
    write(dsn, LOCAL)
    return timed(lambda: write(dsn, "insert into public.beside select * from omni2.audit_logs"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        fresh_database(Path(folder, "source"), max_wal_size="4GB") as source,
        fresh_database(Path(folder, "analytics"), max_wal_size="4GB") as analytics,
    ):
        write(source, USERS)
        grow(source, 0, rows)
        attaching.attach(analytics, source, Settings())
        first = timed(lambda: copy(analytics))
        alone = beside(analytics)
        print(f"first copy of {rows:,} rows: {first:.1f} s, {rows / first:,.0f} rows/s")
        print(f"the same rows within one server: {alone:.1f} s; ratio {first / alone:.2f}")
        print(f"nothing changed: {timed(lambda: copy(analytics)):.2f} s")
        write(source, DAYS, day=0, first=0, last=ROWS_A_DAY - 1)
        day = timed(lambda: copy(analytics))
        print(f"a day of {ROWS_A_DAY:,} rows: {day:.2f} s")
        write(source, GONE)
        gone = timed(lambda: copy(analytics))
        print(f"deletes in each quarter of an hour of nine days: {gone:.2f} s")


if __name__ == "__main__":
    main()
