"""How long the gate takes to judge built figures, and how much memory, as they grow.

    .venv/bin/python -m benchmarks.gate [--rows 200000 1000000]

The database is an embedded one of its own. Requests of a year, each day by many users, are written
with set-based SQL, and dbt builds the marts of them: each request becomes a row of the daily usage,
one of the quota and two of the export for FinOps, so a million built rows are of a quarter of a
million requests. Nothing is published yet, so the gate reads the raw rows of every day too: the
most that it ever does. Each judgement is of a process of its own; its peak of memory is that
process's, Great Expectations' own modules and the pages it writes included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from benchmarks.database import fresh_database
from benchmarks.sessions import connect
from omniledger import modelling
from omniledger.database import Dsn, target
from omniledger.marts import BUILD, MARTS, query
from omniledger.settings import Settings

DAYS, SERVERS, ROWS_A_REQUEST = 365, 20, 4

FILL = (
    """
    insert into ledger.settings (name, value) values ('as_of', '2026-03-01 00:00+00')
    on conflict (name) do update set value = excluded.value
    """,
    "alter table omni2.audit_logs disable trigger user",
    """
    insert into omni2.audit_logs (
        timestamp, question, success, user_id, llm_model, tokens_input, tokens_output,
        llm_tokens_used, cost_usd, status, mcp_target, tool_called
    )
    select
        timestamptz '2026-03-01 00:00+00' - (1 + n %% %(days)s) * interval '1 day'
        + (n %% 86400) * interval '1 second',
        '?', true, 1 + n / %(days)s, 'claude-3-5-haiku', 100 + n %% 900, 10 + n %% 90,
        110 + n %% 900 + n %% 90,
        ((100 + n %% 900) * 0.80 + (10 + n %% 90) * 4.00) / 1000000,
        'success', 'search', case when n %% 10 = 0 then 'read' end
    from generate_series(0, %(requests)s - 1) as n
    """,
    "alter table omni2.audit_logs enable trigger user",
    """
    insert into omni2.mcp_servers (id, name)
    select n, 'server ' || n from generate_series(1, %(servers)s) as n
    """,
    """
    insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, event_type)
    select server, at, 'healthy', 'health_check'
    from generate_series(1, %(servers)s) as server
    cross join generate_series(
        timestamptz '2026-03-01 00:00+00' - %(days)s * interval '1 day',
        '2026-02-28 23:00+00',
        interval '3 hours'
    ) as at
    """,
    "vacuum analyze",
)


def fill(dsn: Dsn, requests: int) -> None:
    values = {"requests": requests, "days": DAYS, "servers": SERVERS}
    with connect(dsn, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement.encode(), values if "%(" in statement else None)


def built_rows(dsn: Dsn) -> int:
    """How many rows all marts have."""
    with connect(dsn) as connection:
        counts = [
            connection.execute(query("select count(*) from {build}", mart)).fetchall()
            for mart in MARTS
        ]
    return sum(int(number) for [(number,)] in counts)


def judge(dsn: Dsn, folder: Path) -> None:
    """Judge once, and print seconds, peak memory (MB) and verdict as a document."""
    from expectations import gate

    gate.warm_up()
    imported_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.monotonic()
    verdict = gate.judge(dsn, uuid4(), folder / "site", folder / "home")
    took = time.monotonic() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": took, "imported_mb": imported_mb, "peak_mb": peak_mb}
    print(json.dumps({**figures, "passed": verdict.passed, "said": verdict.reason()}))


def measured(rows: int, folder: Path) -> None:
    with fresh_database(folder) as dsn:
        fill(dsn, rows // ROWS_A_REQUEST)
        modelling.build(dsn, Settings(home=folder / "state"))
        with connect(dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        built = built_rows(dsn)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gate", "--judge", str(folder)],
            env={**os.environ, "DATABASE_URL": dsn.url()},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    said = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{built:>10,}  {said['seconds']:>7.1f} s  {said['imported_mb']:>6.0f} MB"
        f"  {said['peak_mb']:>6.0f} MB  {'passed' if said['passed'] else said['said']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        judge(target(), options.judge)
        return
    print(f"{'built rows':>10}  {'judged in':>9}  imported       peak  verdict", flush=True)
    for rows in options.rows:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            measured(rows, Path(folder))
    print(f"goals: a million in {BUILD} under 20 s, and the peak of both the same")


if __name__ == "__main__":
    main()
