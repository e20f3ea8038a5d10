"""How long the health marts take: one new day over ever longer histories, and a full rebuild.

    .venv/bin/python -m benchmarks.health [--events 200000 1000000 5000000]

The database is an embedded one of its own. 200 servers are checked every five minutes; one check
in 500 fails, and each server is down for an hour now and then. Figures are seconds of dbt's own
models (their tests left out), the median of the runs; one size after the other.
"""

import argparse
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.database import build, fresh_database, set_clock, write
from omniledger.database import Dsn

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
"""The first moment after the history."""

SERVERS, CHECKS_A_DAY = 200, 288
RUNS = 3

KNOWN = """
insert into omni2.mcp_servers (id, name)
select n, 'server ' || n from generate_series(1, %(servers)s) as n
"""

HISTORY = """
insert into omni2.mcp_health_log (
    mcp_server_id, timestamp, status, response_time_ms, error_message, event_type
)
select
    server,
    at,
    case when is_down then 'timeout' else 'healthy' end,
    case when not is_down then 20 + (nth * 7919 + server * 104729) %% 180 end,
    case when is_down then 'no answer' end,
    'health_check'
from generate_series(1, %(servers)s) as server
cross join generate_series(
    timestamptz '2026-03-01 00:00+00' - %(days)s * interval '1 day',
    timestamptz '2026-03-01 00:00+00' - interval '1 second',
    interval '5 minutes'
) with ordinality as ticks (at, nth)
cross join lateral (
    select (nth * 31 + server * 17) %% 500 = 0 or (nth / 12 + server) %% 300 = 0 as is_down
) as states
order by at, server
"""

NEW_DAY = """
insert into omni2.mcp_health_log (
    mcp_server_id, timestamp, status, response_time_ms, event_type
)
select server, at + %(day)s * interval '1 day', 'healthy', 40, 'health_check'
from generate_series(1, %(servers)s) as server
cross join generate_series(
    timestamptz '2026-03-01 00:00+00', '2026-03-01 23:59+00', interval '5 minutes'
) as at
"""


def measured(dsn: Dsn, home: Path, events: int) -> tuple[int, float, float]:
    """Events, seconds of a full rebuild, and of one new day."""
    days = max(1, round(events / SERVERS / CHECKS_A_DAY))
    write(dsn, KNOWN, servers=SERVERS)
    write(dsn, HISTORY, servers=SERVERS, days=days)
    set_clock(dsn, str(FIRST))
    write(dsn, "vacuum analyze omni2.mcp_health_log")
    full = build(dsn, home, "health", "--full-refresh")
    new_days = []
    for day in range(RUNS):
        write(dsn, NEW_DAY, servers=SERVERS, day=day)
        set_clock(dsn, str(FIRST + timedelta(days=day + 1)))
        new_days.append(build(dsn, home, "health"))
    return days * SERVERS * CHECKS_A_DAY, full, statistics.median(new_days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[200_000, 1_000_000, 5_000_000])
    sizes = parser.parse_args().events
    first = None
    print(f"{'events':>10}  {'full rebuild':>12}  {'one new day':>11}  ratio", flush=True)
    for events in sizes:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            fresh_database(Path(folder)) as dsn,
        ):
            count, full, new_day = measured(dsn, Path(folder), events)
        first = first or new_day
        print(
            f"{count:>10,}  {full:>10.1f} s  {new_day:>9.2f} s  {new_day / first:.2f}", flush=True
        )
    print("goals: a full rebuild of 5 million under 60 s; ratio at most 1.2")


if __name__ == "__main__":
    main()
