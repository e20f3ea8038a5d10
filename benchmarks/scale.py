"""The whole way at growing sizes of the ledger, in one table with growth factors.

    .venv/bin/python -m benchmarks.scale [--rows 1000000 10000000] [--folder FOLDER]

For each size: both logs of a year, half of the rows in each, and half as many health checks, on a
PostgreSQL of its own in a folder that is removed. Then what an operator does, by the commands that
he uses: the upgrade, the first run, a run on 20,000 rows more, a run on nothing new, inspections;
and what the gateway asks, by eight clients of pgbench, a hundred times a second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from benchmarks import load
from benchmarks.database import write
from benchmarks.sessions import connect
from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer
from omniledger.history import BUILDING, JUDGING, PUBLISHING

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB", "maintenance_work_mem": "256MB"}
"""As a server of this size would have them; fsync and all the rest are PostgreSQL's own."""

MORE = """
insert into audit_logs (
    user_id, message, tokens_input, tokens_output, tokens_cached, cost_estimate, mcps_accessed,
    created_at
)
select
    1 + i % 1000, 'Late ' || i, 200 + i % 4000, 20 + i % 900, 0, 0.001,
    array['server_' || i % 200], now() - i * interval '1 second'
from generate_series(1, 20000) as i
"""

QUOTA = "\\set user_id random(1, 1000)\nselect * from ledger.check_usage_limit(:user_id);"
PAGE = "select * from ledger.mcp_server_audit(:server, {status}, {search}, 50);"
PAGES = {
    "first page of the logs dialog": ("null::text", "null::text"),
    "its page of errors": ("'error'::text", "null::text"),
    "its search for a rare word": ("null::text", "'wombat'::text"),
}


class Commands:
    """The commands of this checkout, on one database."""

    def __init__(self, dsn: Dsn, home: Path) -> None:
        place = {"OMNILEDGER_HOME": str(home / "home"), "OMNILEDGER_SITE_DIR": str(home / "site")}
        self.environment = {**os.environ, **place, "DATABASE_URL": dsn.url(), "NO_COLOR": "1"}

    def __call__(self, *command: str, codes: tuple[int, ...] = (0,)) -> str:
        """What the command prints; it must end with one of the codes."""
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def seconds(self, *command: str, codes: tuple[int, ...] = (0,)) -> float:
        """How long it took, its own start included."""
        began = time.monotonic()
        self(*command, codes=codes)
        return time.monotonic() - began

    def run(self, name: str) -> dict[str, float]:
        """Seconds of a daily run, and of its steps that work on figures."""
        took = {name: self.seconds("omniledger", "run")}
        [last] = json.loads(self("omniledger", "runs", "--json", "--limit", "1"))
        steps = {step["step"]: float(Decimal(step["seconds"])) for step in last["steps"]}
        for step in (BUILDING, JUDGING, PUBLISHING):
            took[f"  {step}"] = steps[step]
        return took


def asked(dsn: Dsn, script: str) -> float:
    """What all but a hundredth of the questions did not wait longer than, in milliseconds."""
    return load.ask(dsn, script, clients=8, seconds=20, pace=100).share(0.99)


def measured(rows: int, folder: Path) -> dict[str, float]:
    """Seconds, or milliseconds of the 99th percentile, of all that is done at one size."""
    with EmbeddedServer(folder / "postgres", options=SETTINGS).lease() as at:
        dsn = Dsn(at.host, at.port, at.dbname, at.user, at.password)
        with connect(dsn, autocommit=True) as connection:
            connection.execute(f"set benchmark.rows = {rows}".encode())
            for file in ("samples/gateway.sql", "benchmarks/users.sql", "benchmarks/scale.sql"):
                connection.execute((PROJECT / file).read_bytes())
            connection.execute("vacuum (analyze)")
        commands = Commands(dsn, folder)
        took = {"upgrade, s": commands.seconds("alembic", "upgrade", "head")}
        took |= commands.run("first run, s")
        write(dsn, MORE)
        took |= {f"{name} ": value for name, value in commands.run("run on 20,000 rows, s").items()}
        took["run on nothing new, s"] = commands.seconds("omniledger", "run")
        took["inspect, s"] = statistics.median(
            commands.seconds("omniledger", "inspect", codes=(0, 1)) for _ in range(3)
        )
        commands("omniledger", "logs", "index")
        write(dsn, "vacuum analyze omni2.audit_logs")
        took["quota check, p99 ms"] = asked(dsn, QUOTA)
        for name, (status, search) in PAGES.items():
            page = PAGE.format(status=status, search=search)
            took[f"{name}, p99 ms"] = asked(dsn, "\\set server random(1, 200)\n" + page)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    table: dict[int, dict[str, float]] = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
            table[rows] = measured(rows, Path(folder))
        print(f"{rows:,} rows: {table[rows]}", file=sys.stderr, flush=True)
    first, last = options.rows[0], options.rows[-1]
    print(f"{'':<42}" + "".join(f"{rows:>14,}" for rows in options.rows) + "    growth")
    for what in table[first]:
        values = "".join(f"{table[rows][what]:>14,.2f}" for rows in options.rows)
        print(f"{what:<42}{values}  {table[last][what] / table[first][what]:>8.2f}")
    print(f"{'rows':<42}{'':>{14 * len(options.rows)}}  {last / first:>8.2f}")


if __name__ == "__main__":
    main()
