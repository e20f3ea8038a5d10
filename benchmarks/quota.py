"""The quota check before each request, beside the gateway's query of today, in the same run.

    .venv/bin/python -m benchmarks.quota [--rows 10000000] [--clients 8] [--pace 500]

Both answer on the same database: the check, which finds the limit too
(`ledger.check_usage_limit`), and the investigation's sum alone. One client of pgbench asks without
a pause, then all clients at a pace, then all without a pause (`benchmarks.load` says what each
tells). The goal is for the check at the pace.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks import load
from benchmarks.database import fresh_database
from benchmarks.sessions import connect

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pace", type=float, default=500, help="checks a second, by all clients")
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
            connection.execute("checkpoint")
        for clients, pace in ((1, None), (given.clients, given.pace), (given.clients, None)):
            for what, query in (("the query of today", TODAY), ("check_usage_limit", CHECK)):
                waiting = load.ask(
                    dsn, USER + query, clients=clients, seconds=given.seconds, pace=pace
                )
                print(f"{what:<20} {waiting}", flush=True)
    print("goal: a p99 below 1 ms at the pace")


if __name__ == "__main__":
    main()
