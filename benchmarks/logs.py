"""The logs dialog beside the investigation's own query, and what its indexes cost a writer.

    .venv/bin/python -m benchmarks.logs --rows 10000000 --events 5000000

Eight clients of pgbench ask for pages of servers chosen at random: first so many a second, when
most are asked for the first time and come from the disk; then without a pause, and ten times as
many a second, when they are in memory (`benchmarks.load` says what each tells). The goal, a p99
below 2 ms, is for the pages of the ledger at a pace. The embedded PostgreSQL keeps its data in a
folder that is removed at the end. Inserts are one client's, one row a transaction, on a table with
the gateway's own indexes before and after the whole upgrade, in turns.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks import load
from benchmarks.sessions import connect
from migrations.search import build_search
from omniledger import revisions
from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer

CLIENTS = 8
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


def show(what: str, waiting: load.Waiting) -> None:
    print(f"{what:<36} {waiting}", flush=True)


def pages(dsn: Dsn, servers: int, seconds: float, pace: float) -> None:
    with connect(dsn, autocommit=True) as connection:
        build_search(connection)
        # A page waits for a disk that writes what filling and indexing left.
        connection.execute("checkpoint")
    choose = f"\\set server random(1, {servers})\n"

    def ask(what: str, query: str) -> None:
        script = choose + " ".join(query.split()) + ";"
        for at in (pace, None, 10 * pace):
            show(what, load.ask(dsn, script, clients=CLIENTS, seconds=seconds, pace=at))

    for name, (status, search) in _PAGES.items():
        with_percent = search.replace("'wombat'", "'%wombat%'").replace("'report'", "'%report%'")
        ask(f"{name}, ledger", _OURS.format(status=status, search=search))
        ask(f"{name}, investigation", _OWN.format(status=status, search=with_percent))
    ask("health, ledger", "select * from ledger.mcp_server_logs(:server, 50)")
    ask("health, investigation", _OWN_HEALTH)
    with connect(dsn, autocommit=True) as connection:
        connection.execute("drop index omni2.omniledger_audit_logs_search")
    ask(
        "a rare word, ledger, without pg_trgm",
        _OURS.format(status="null::text", search="'wombat'::text"),
    )


def inserts(dsn: Dsn, seconds: float) -> None:
    """One client's inserts into both tables in turns, so that a busy machine hurts both."""
    turns, length = 6, max(1, round(seconds / 3))
    took: dict[str, list[float]] = {_BEFORE: [], "omni2.audit_logs": []}
    for _ in range(turns):
        for table in took:
            script = " ".join(_INSERT.format(table=table).split())
            took[table] += load.ask(dsn, script, clients=1, seconds=length).took
    for table, times in took.items():
        what = f"insert, {'before' if table == _BEFORE else 'after'}"
        show(what, load.Waiting(1, turns * length, sorted(times)))


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


def settings() -> dict[str, str]:
    """As a server of this machine's size would have them: a quarter of its memory for pages."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"shared_buffers": f"{memory // 4 // 2**20}MB", "max_wal_size": "4GB"}


@contextmanager
def database() -> Iterator[Dsn]:
    folder = Path(tempfile.mkdtemp())
    try:
        server = EmbeddedServer(folder, options=settings())
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
    parser.add_argument("--pace", type=float, default=100, help="pages a second, by all clients")
    arguments = parser.parse_args()
    with database() as dsn:
        began = time.monotonic()
        fill(dsn, arguments.rows, arguments.servers, arguments.events)
        print(f"filled and upgraded in {time.monotonic() - began:.0f} s", flush=True)
        inserts(dsn, arguments.seconds)
        pages(dsn, arguments.servers, arguments.seconds, arguments.pace)


if __name__ == "__main__":
    main()
