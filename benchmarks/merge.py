"""What the merge costs: its speed beside one plain statement, its writers, its memory.

    .venv/bin/python benchmarks/merge.py [--rows N | --quick] [--workers N] [--full]

Two logs of 1 million rows each (`--rows`; `--quick` is 100,000) on a PostgreSQL of its own with
its normal, safe settings, in a temporary folder. Every ratio is of two things measured in the same
run, on copies of the same database. `--full` adds the upgrade at four times as many rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from merge_load import LEDGER, OLD_NAME, Load, load
from psycopg import sql

from benchmarks.sessions import connect
from migrations.legacy import inspect
from omniledger import revisions
from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer, locks

PROJECT = Path(__file__).resolve().parent.parent
STATE = ("samples/gateway.sql", "benchmarks/users.sql", "benchmarks/merge_state.sql")
BYTES_A_ROW = 24_000
"""Of disk, for each row of a log: four copies of both logs with all indexes, and WAL."""

SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "min_wal_size": "6GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
}
"""As a server of this size would have them; fsync and all the rest are PostgreSQL's own."""

WAL_SEGMENTS = 270
"""How many a server that has been at work keeps to use again, with these settings. A new one is
written and flushed whole, 16 MB, while every writer waits."""


def show(what: str, value: str, goal: str = "") -> None:
    print(f"{what:<66} {value:>22}  {'goal ' + goal if goal else ''}", flush=True)


@dataclass
class Bench:
    """A server and the databases on it."""

    dsn: Dsn
    rows: int

    def on(self, name: str) -> Dsn:
        return replace(self.dsn, dbname=name)

    def admin(self, *statements: str) -> None:
        with connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def use_wal(self) -> None:
        """Be a server that has been at work, whose WAL goes into segments that are there."""
        self.admin(
            "create table work (done integer)",
            *["insert into work values (1)", "select pg_switch_wal()"] * WAL_SEGMENTS,
            "drop table work",
            "checkpoint",
        )

    def copy(self, template: str, name: str) -> Dsn:
        """A database like `template`, as files, with nothing left for a checkpoint to do."""
        self.drop(name)
        self.admin(f"create database {name} template {template} strategy file_copy", "checkpoint")
        return self.on(name)

    def drop(self, name: str) -> None:
        self.admin(f"drop database if exists {name} with (force)")

    def make(self, name: str, rows: int) -> Dsn:
        """Both logs, as their systems wrote them."""
        self.admin(f"create database {name}")
        with connect(self.on(name), autocommit=True) as connection:
            connection.execute(f"set benchmark.rows = {rows}".encode())
            for file in STATE:
                connection.execute((PROJECT / file).read_bytes())
            connection.execute("vacuum (analyze)")
        return self.on(name)


def plain(dsn: Dsn) -> float:
    """Seconds of one INSERT … SELECT of all old rows, with nothing that a merge must know."""
    with connect(dsn) as connection:
        legacy = inspect(connection, "public")
        if legacy is None:
            raise AssertionError("the old table was made")
        columns = [(c.name, c.target) for c in legacy.columns]
        statement = sql.SQL(
            "insert into omni2.audit_logs (source_system, user_id, {targets})"
            " select 'legacy', m.user_id, {names} from public.audit_logs as l"
            " left join ledger.user_map as m on l.user_id = m.legacy_user_id"
        ).format(
            targets=sql.SQL(", ").join(sql.Identifier(target) for _, target in columns),
            names=sql.SQL(", ").join(sql.SQL("l.") + sql.Identifier(name) for name, _ in columns),
        )
        connection.execute("select ledger.map_users()")
        connection.commit()
        began = time.monotonic()
        connection.execute(statement)
        connection.commit()
        return time.monotonic() - began


def steps(dsn: Dsn, workers: int) -> dict[str, float]:
    """Seconds of each step of a merge of an idle database."""
    from migrations.merge.run import merge

    took: dict[str, float] = {}
    last = ["", time.monotonic()]

    def note(progress: object) -> None:
        name = progress.step  # type: ignore[attr-defined]
        now = time.monotonic()
        if name != last[0]:
            last[0] = name
        else:
            took[name] = took.get(name, 0) + now - last[1]
        last[1] = now

    with connect(dsn, autocommit=True) as connection:
        legacy = inspect(connection, "public")
        if legacy is None:
            raise AssertionError("the old table was made")
        merge(connection, legacy, Decimal(5), note, workers=workers)
    return took


def upgrade(dsn: Dsn, workers: int | None = None) -> tuple[float, float]:
    """Seconds and greatest memory, MB, of `alembic upgrade head`."""
    environment = {**os.environ, "DATABASE_URL": dsn.url()}
    if workers is not None:
        environment["OMNILEDGER_MERGE_WORKERS"] = str(workers)
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "alembic", "upgrade", "head"],
            env=environment,
            cwd=PROJECT,
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            raise SystemExit(log.read().decode())
    return time.monotonic() - began, usage.ru_maxrss / 1024


def single_inserts(first: tuple[Dsn, str], second: tuple[Dsn, str]) -> float:
    """How much longer the second single INSERT takes: the median of many blocks side by side."""
    import asyncio

    import asyncpg

    async def measure() -> float:
        connections = [await asyncpg.connect(dsn.url()) for dsn, _ in (first, second)]
        ratios = []
        for _ in range(40):
            medians = []
            for connection, (_, statement) in zip(connections, (first, second), strict=True):
                took = []
                for turn in range(50):
                    began = time.perf_counter()
                    await connection.fetchval(statement, 1 + turn, f"single {turn}")
                    took.append(time.perf_counter() - began)
                medians.append(statistics.median(took))
            ratios.append(medians[1] / medians[0])
        for connection in connections:
            await connection.close()
        return statistics.median(ratios)

    return asyncio.run(measure())


def latencies(one: Load) -> str:
    return "/".join(f"{one.percentile(share):.1f}" for share in (0.5, 0.99, 1.0)) + " ms"


def measure_copy(bench: Bench, repeat: int) -> None:
    """The copy beside the plain statement, with one worker and with two."""
    ways: dict[str, Callable[[Dsn], float | dict[str, float]]] = {
        "plain": plain,
        "one": lambda dsn: steps(dsn, 1),
        "two": lambda dsn: steps(dsn, 2),
    }
    took: dict[str, list[float]] = {"plain": [], "one": [], "two": []}
    beside: list[dict[str, float]] = []
    for _ in range(repeat):
        for name, way in ways.items():
            result = way(bench.copy("ready", "trial"))
            if isinstance(result, dict):
                took[name].append(result["copying"])
                beside.append(result)
            else:
                took[name].append(result)
    seconds = {name: statistics.median(values) for name, values in took.items()}
    show("one INSERT … SELECT of the old rows", f"{bench.rows / seconds['plain']:,.0f} rows/s")
    for name, goal in (("one", ">= 0.95"), ("two", ">= 1.2")):
        rate, ratio = bench.rows / seconds[name], seconds["plain"] / seconds[name]
        show(f"copy with {name} worker(s), and its ratio", f"{rate:,.0f} rows/s  {ratio:.2f}", goal)
    for step in ("matching", "filling in", "certifying"):
        value = statistics.median(result.get(step, 0) for result in beside)
        show(f"{step}, beside {seconds['one']:.1f} s of copying", f"{value:.1f} s")
    bench.drop("trial")


def measure_writers(bench: Bench, workers: int | None) -> None:
    """Writers through both names: alone, then beside the upgrade, then alone again."""
    dsn = bench.copy("base", "live")
    alone = Load(dsn.url())
    with alone.running():
        time.sleep(15)
    with load(dsn.url()) as beside:
        seconds, memory = upgrade(dsn, workers)
    after = Load(dsn.url())
    with after.running():
        time.sleep(15)
    show("writers alone, before, p50/p99/longest", latencies(alone))
    show("writers alone, after", latencies(after))
    show("writers beside the upgrade", latencies(beside), "longest <= 50 ms")
    ratio = beside.percentile(0.99) / max(alone.percentile(0.99), after.percentile(0.99))
    show("p99 beside / alone", f"{ratio:.2f}", "<= 1.5")
    show("errors, of writes", f"{len(beside.errors)} of {len(beside.took):,}", "0")
    show("the upgrade beside them, and its memory", f"{seconds:.1f} s  {memory:.0f} MB", "150 MB")
    with connect(dsn) as connection:
        row = connection.execute("select holds, rows_total from ledger.merge_runs").fetchone()
    show("certificate", str(row))


def measure_inserts(bench: Bench) -> None:
    """Single statements before and after, side by side.

    Among the ledger's pages are those where rows that were in both logs left room, as they are
    after the merge: a vacuum has found it.
    """
    before, after = bench.copy("base", "before"), bench.on("live")
    for dsn in (before, after):
        with connect(dsn, autocommit=True) as connection:
            connection.execute("vacuum omni2.audit_logs")
            connection.execute("checkpoint")
    ledger = single_inserts((before, LEDGER), (after, LEDGER))
    show("INSERT into omni2.audit_logs, after / before", f"{ledger:.2f}", "<= 1.15")
    old = single_inserts((before, OLD_NAME), (after, OLD_NAME))
    show("INSERT through the old name, after / before", f"{old:.2f}", "<= 1.25")


def measure_size(bench: Bench) -> None:
    """The same upgrade at four times as many rows."""
    small = upgrade(bench.copy("base", "trial"))
    bench.drop("trial")
    large = upgrade(bench.make("large", 4 * bench.rows))
    show(f"upgrade of {bench.rows:,} rows", f"{small[0]:.1f} s  {small[1]:.0f} MB")
    show(f"upgrade of {4 * bench.rows:,} rows", f"{large[0]:.1f} s  {large[1]:.0f} MB", "150 MB")
    show("time at four times as many", f"{large[0] / small[0]:.2f}", "<= 4.4")


def require_room(folder: Path, rows: int) -> None:
    """Stop before the disk is full."""
    free = shutil.disk_usage(folder).free
    if free < rows * BYTES_A_ROW:
        raise SystemExit(
            f"{folder} has {free / 1e9:.0f} GB free and the benchmark takes up to"
            f" {rows * BYTES_A_ROW / 1e9:.0f}: name a larger folder with --folder, or --rows."
        )


def measure(bench: Bench, arguments: argparse.Namespace) -> None:
    """All that was asked for, one after the other, on copies of one database."""
    bench.make("base", bench.rows)
    bench.use_wal()
    if arguments.only in (None, "copy"):
        revisions.upgrade(bench.copy("base", "ready"), "0006")
        with connect(bench.on("ready"), autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
        measure_copy(bench, arguments.repeat)
        bench.drop("ready")
    if arguments.only in (None, "writers"):
        measure_writers(bench, arguments.workers)
        measure_inserts(bench)
    if arguments.full:
        measure_size(bench)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--workers", type=int, help="of the upgrade beside the writers")
    parser.add_argument("--repeat", type=int, default=1, help="of the copies; medians are shown")
    parser.add_argument("--full", action="store_true", help="also four times as many rows")
    parser.add_argument("--only", choices=("copy", "writers"), help="leave the rest out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    rows = 100_000 if arguments.quick else arguments.rows
    require_room(arguments.folder, 2 * rows if arguments.full else rows)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder) / "postgres"
        with EmbeddedServer(root, options=SETTINGS).lease() as at:
            dsn = Dsn(at.host, at.port, at.dbname, at.user, at.password)
            measure(Bench(dsn, rows), arguments)
        # The server's guard has a file open there until it ends.
        locks.wait_for_all(root / "guard")


if __name__ == "__main__":
    main()
