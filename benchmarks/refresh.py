"""What one new day costs the usage marts, over an ever longer history.

    .venv/bin/python -m benchmarks.refresh [--rows 200000 2000000 10000000]

20,000 requests and calls a day, of 500 users, 3 models and 12 servers. The history grows in one
database; after each growth everything is built once, and then three new days, one after the other.
Figures are seconds of dbt's own models (their tests left out), the median of the runs.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.database import build, fresh_database, set_clock, write
from benchmarks.sessions import connect
from omniledger.database import Dsn
from omniledger.pricing.loading import load_if_new

ROWS_A_DAY = 20_000
RUNS = 3
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
"""The first moment after the history."""

USERS = """
insert into auth_service.roles (id, name, cost_limit_daily) values (1, 'user', 0.5);
insert into auth_service.users (id, email, role_id)
select n, n || '@example.org', 1 from generate_series(1, 500) as n;
insert into omni2.mcp_servers (id, name) select n, 'server ' || n from generate_series(1, 12) as n;
"""

DAYS = """
insert into omni2.audit_logs (
    timestamp, question, success, user_id, llm_model, tokens_input, tokens_output, tokens_cached,
    llm_tokens_used, cost_usd, mcps_accessed, mcp_target, tool_called, duration_ms
)
select
    timestamptz '2026-03-01 00:00+00' + %(day)s * interval '1 day' + moment * interval '4320 ms',
    '?',
    n %% 20 <> 0,
    1 + n * 7919 %% 500,
    case when n %% 3 > 0 then (array['claude-3-5-haiku', 'claude-sonnet-4-5'])[n %% 3] end,
    case when n %% 4 > 0 then n %% 5000 end,
    case when n %% 4 > 0 then n %% 700 end,
    case when n %% 4 > 0 then n %% 3000 end,
    case when n %% 4 > 0 then n %% 5000 + n %% 700 + n %% 3000 end,
    case when n %% 4 > 0 then 0.0001 * (n %% 90) end,
    case when n %% 4 > 0 then array['server ' || 1 + n %% 12, 'server ' || 1 + n %% 5] end,
    case when n %% 4 = 0 then 'server ' || 1 + n %% 12 end,
    case when n %% 4 = 0 then 'tool ' || n %% 40 end,
    n %% 900
from generate_series(%(first)s::bigint, %(last)s) as moment
cross join lateral (select abs(moment) as n) as numbers
"""

QUIET = "alter table omni2.audit_logs disable trigger user"
LOUD = "alter table omni2.audit_logs enable trigger user"


def grow(dsn: Dsn, rows_from: int, rows_to: int) -> float:
    """Put older days before the history; the seconds that it took."""
    began = time.monotonic()
    # Counted back from the first moment after the history, so that days are full.
    write(dsn, QUIET)
    write(dsn, DAYS, day=0, first=-rows_to, last=-rows_from - 1)
    write(dsn, LOUD, "vacuum analyze omni2.audit_logs")
    return time.monotonic() - began


def refreshed(dsn: Dsn, home: Path, first_day: int) -> float:
    """Median seconds of a new day."""
    took = []
    for day in range(first_day, first_day + RUNS):
        write(dsn, DAYS, day=day, first=0, last=ROWS_A_DAY - 1)
        set_clock(dsn, str(FIRST + timedelta(days=day + 1)))
        took.append(build(dsn, home, "usage"))
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 2_000_000, 10_000_000])
    sizes = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        fresh_database(Path(folder), max_wal_size="4GB") as dsn,
    ):
        write(dsn, USERS)
        with connect(dsn, autocommit=True) as connection:
            load_if_new(connection)
        first, there = None, 0
        print(f"{'rows':>12}  {'full rebuild':>12}  {'one new day':>11}  ratio", flush=True)
        for turn, rows in enumerate(sizes):
            grow(dsn, there, rows)
            there = rows
            set_clock(dsn, str(FIRST + timedelta(days=turn * RUNS)))
            full = build(dsn, Path(folder), "usage", "--full-refresh")
            new_day = refreshed(dsn, Path(folder), turn * RUNS)
            first = first or new_day
            print(
                f"{rows:>12,}  {full:>10.1f} s  {new_day:>9.2f} s  {new_day / first:.2f}",
                flush=True,
            )
        print("goal: ratio at most 1.2")


if __name__ == "__main__":
    main()
