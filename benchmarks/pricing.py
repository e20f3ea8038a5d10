"""How fast rows are priced again: a million requests of several models, each at its time's price.

    .venv/bin/python -m benchmarks.pricing [--rows 1000000]

Two figures: the join of the ledger and its prices alone, each name looked up once; and the whole
view that the marts read (names, history, days, impossible figures, then the same join). Both sum
every row's cost, so that the two answers must be equal.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.database import fresh_database
from benchmarks.sessions import connect
from omniledger import modelling
from omniledger.database import Connection, Dsn
from omniledger.pricing.loading import load_if_new
from omniledger.settings import Settings

GOAL = 300_000

FILL = """
alter table omni2.audit_logs disable trigger user;
insert into omni2.audit_logs (
    timestamp, question, success, user_id, llm_model,
    tokens_input, tokens_output, tokens_cached, tokens_cache_write, cost_usd
)
select
    timestamptz '2026-01-01' + n * interval '25 seconds',
    '?',
    true,
    n % 100,
    (array[null, 'claude-3-5-haiku', 'claude-sonnet-4-5-20250929', 'anthropic/claude-opus-4-6'])[
        1 + n % 4
    ],
    n % 5000,
    n % 700,
    n % 3000,
    n % 90,
    0.01
from generate_series(1, {rows}) as n;
alter table omni2.audit_logs enable trigger user;
"""

JOINED = """
select count(*), sum(ledger.price_usage(
    a.tokens_input, a.tokens_output, a.tokens_cached, a.tokens_cache_write,
    p.input, p.output, p.cached_read, p.cache_write_5m
))
from omni2.audit_logs as a
inner join (
    select name, coalesce(ledger.canonical_model(name), name) as model
    from (
        select distinct coalesce(llm_model, 'claude-3-5-haiku') as name from omni2.audit_logs
    ) as names
    offset 0
) as n on n.name = coalesce(a.llm_model, 'claude-3-5-haiku')
left join ledger.model_prices as p
    on
        p.model = n.model
        and a.timestamp >= p.valid_from
        and a.timestamp < coalesce(p.valid_to, 'infinity')
"""

VIEW = """
select count(*), sum(cost_recomputed_usd) from analytics_build.int_audit_events_priced
"""


def timed(connection: Connection, query: str, runs: int = 3) -> tuple[float, tuple[object, ...]]:
    """Median seconds of a query, and its answer."""
    took = []
    for _ in range(runs):
        began = time.monotonic()
        [answer] = connection.execute(query.encode()).fetchall()
        took.append(time.monotonic() - began)
    return statistics.median(took), answer


def build_views(dsn: Dsn, home: Path) -> None:
    from dbt.cli.main import dbtRunner

    with modelling._environment(modelling.environment(dsn, Settings(home=home))):
        dbtRunner().invoke(["run", "--select", "+int_audit_events_priced", "--quiet"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        fresh_database(Path(folder)) as dsn,
        connect(dsn, autocommit=True) as connection,
    ):
        load_if_new(connection)
        connection.execute(FILL.replace("{rows}", str(rows)).encode())
        connection.execute("vacuum analyze omni2.audit_logs")
        build_views(dsn, Path(folder))
        for what, query in (("join of ledger and prices", JOINED), ("view of the marts", VIEW)):
            seconds, answer = timed(connection, query)
            print(
                f"{what:<28} {rows / seconds:>12,.0f} rows/s   goal {GOAL:,}   {answer}",
                flush=True,
            )


if __name__ == "__main__":
    main()
