"""The quota check before each request, beside the gateway's query of today, in the same run.

    .venv/bin/python -m benchmarks.quota [--rows 10000000] [--clients 8] [--seconds 20]

Both answer on the same database: the check, which finds the limit too
(`ledger.check_usage_limit`), and the investigation's sum alone. pgbench asks, with prepared
statements and without a pause; it shares this machine's processors with the server, so that what a
client waits for its turn is in the figures.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.database import fresh_database
from omniledger.database import Dsn, connect
from omniledger.embedded import EmbeddedServer

USERS = 1000

FILL = """
alter table omni2.audit_logs disable trigger user;
insert into auth_service.roles (id, name, cost_limit_daily) values (1, 'user', 10);
insert into auth_service.users (id, email, role_id)
select n, n || '@example.org', 1 from generate_series(1, {users}) as n;
insert into omni2.audit_logs (
    timestamp, question, success, user_id, llm_model, llm_tokens_used, cost_usd
)
select
    now() - (n % 365) * interval '1 day' - (n % 86400) * interval '1 second',
    '?', n % 20 <> 0, 1 + n % {users}, 'claude-3-5-haiku', n % 5000, 0.0001
from generate_series(1, {rows}) as n;
alter table omni2.audit_logs enable trigger user;
"""

USER = f"\\set user_id random(1, {USERS})\n"

CHECK = "select * from ledger.check_usage_limit(:user_id);"

TODAY = """
select coalesce(sum(llm_tokens_used), 0) as tokens_used, coalesce(sum(cost_usd), 0) as cost_used
from omni2.audit_logs
where user_id = :user_id and timestamp >= current_date and success = true;
"""


def measure(
    pgbench: Path, dsn: Dsn, query: str, clients: int, seconds: int
) -> tuple[float, float, float]:
    """Answers a second, and the median and 99th percentile of the waiting, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "query.sql"
        script.write_text(USER + query)
        subprocess.run(
            [
                *(pgbench, "-n", "-M", "prepared", "-c", str(clients), "-j", "2"),
                *("-T", str(seconds), "-f", script, "-l", "--log-prefix", f"{folder}/took"),
            ],
            env={**os.environ, **dsn.environment()},
            check=True,
            capture_output=True,
        )
        # client, number, microseconds, ...
        took = sorted(
            int(line.split()[2])
            for log in Path(folder).glob("took.*")
            for line in log.read_text().splitlines()
        )
    return (
        len(took) / seconds,
        took[len(took) // 2] / 1000,
        took[int(len(took) * 0.99)] / 1000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        fresh_database(Path(folder)) as dsn,
    ):
        with connect(dsn, autocommit=True) as connection:
            connection.execute(FILL.format(users=USERS, rows=given.rows).encode())
            connection.execute("vacuum analyze omni2.audit_logs")
            connection.execute("select ledger.refresh_limits()")
        pgbench = EmbeddedServer(Path(folder) / "postgres").bin_dir / "pgbench"
        for clients in (1, given.clients):
            for what, query in (("the query of today", TODAY), ("check_usage_limit", CHECK)):
                rate, median, p99 = measure(pgbench, dsn, query, clients, given.seconds)
                print(
                    f"{what:<20} {given.rows:>12,} rows, clients: {clients:>2} {rate:>9,.0f}/s"
                    f"   median {median:.3f} ms   p99 {p99:.3f} ms   goal 1 ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
