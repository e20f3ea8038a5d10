"""How long the health marts take: one new day over ever longer histories, and a full rebuild.

    .venv/bin/python benchmarks/health.py [--events 200000 1000000 5000000]

The database is an embedded one of its own. 200 servers are checked every five minutes; one check
in 500 fails, and each server is down for an hour now and then. Figures are seconds of dbt's own
models (their tests left out), the median of the runs; one size after the other.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from omniledger import modelling, revisions
from omniledger.database import Dsn, connect
from omniledger.embedded import EmbeddedServer
from omniledger.settings import Settings

MARTS = ("dim_mcp_servers", "fct_daily_health", "fct_hourly_health", "fct_incidents")
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

CLOCK = """
insert into ledger.settings (name, value)
values ('as_of', (timestamptz '2026-03-01 00:00+00' + %(day)s * interval '1 day')::text)
on conflict (name) do update set value = excluded.value
"""


def write(dsn: Dsn, *statements: str, **values: int) -> None:
    with connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode(), values or None)


def build(dsn: Dsn, settings: Settings, *options: str) -> float:
    """Seconds from when the first mart was begun until the last was there."""
    from dbt.cli.main import dbtRunner

    os.environ.update(modelling.environment(dsn, settings))
    outcome: Any = dbtRunner().invoke(
        ["run", "--quiet", "--select", *(f"+{mart}" for mart in MARTS), *options]
    )
    if not outcome.success:
        raise SystemExit(f"dbt failed: {outcome.exception or [r.message for r in outcome.result]}")
    spans = [
        timing
        for result in outcome.result
        if result.node.name in MARTS
        for timing in result.timing
        if timing.name == "execute"
    ]
    first, last = min(s.started_at for s in spans), max(s.completed_at for s in spans)
    return float((last - first).total_seconds())


def measured(dsn: Dsn, settings: Settings, events: int) -> tuple[int, float, float]:
    """Events, seconds of a full rebuild, and of one new day."""
    days = max(1, round(events / SERVERS / CHECKS_A_DAY))
    write(dsn, KNOWN, servers=SERVERS)
    write(dsn, HISTORY, servers=SERVERS, days=days)
    write(dsn, CLOCK, day=0)
    write(dsn, "vacuum analyze omni2.mcp_health_log")
    full = build(dsn, settings, "--full-refresh")
    new_days = []
    for day in range(RUNS):
        write(dsn, NEW_DAY, servers=SERVERS, day=day)
        write(dsn, CLOCK, day=day + 1)
        new_days.append(build(dsn, settings))
    return days * SERVERS * CHECKS_A_DAY, full, statistics.median(new_days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[200_000, 1_000_000, 5_000_000])
    sizes = parser.parse_args().events
    first = None
    print(f"{'events':>10}  {'full rebuild':>12}  {'one new day':>11}  ratio", flush=True)
    for events in sizes:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            settings = Settings(home=Path(folder))
            with EmbeddedServer(Path(folder) / "postgres").lease() as place:
                dsn = Dsn(place.host, place.port, place.dbname, place.user, place.password)
                revisions.upgrade(dsn)
                count, full, new_day = measured(dsn, settings, events)
        first = first or new_day
        print(
            f"{count:>10,}  {full:>10.1f} s  {new_day:>9.2f} s  {new_day / first:.2f}", flush=True
        )
    print("goals: a full rebuild of 5 million under 60 s; ratio at most 1.2")


if __name__ == "__main__":
    main()
