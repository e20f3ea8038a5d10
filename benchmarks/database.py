"""A database of a benchmark's own, upgraded and empty, on an embedded server that ends with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.sessions import connect
from omniledger import modelling, revisions
from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer
from omniledger.settings import Settings

_CLOCK = """
insert into ledger.settings (name, value) values ('as_of', %s)
on conflict (name) do update set value = excluded.value
"""


@contextmanager
def fresh_database(folder: Path, **options: str) -> Iterator[Dsn]:
    """The server's settings are those of every embedded one, with `options` over them."""
    server = EmbeddedServer(folder / "postgres", options=options)
    with server.lease() as endpoint:
        dsn = Dsn(endpoint.host, endpoint.port, endpoint.dbname, endpoint.user, endpoint.password)
        revisions.upgrade(dsn)
        yield dsn
    server.stop()


def write(dsn: Dsn, *statements: str, **values: int) -> None:
    """Run statements, each in a transaction of its own."""
    with connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode(), values or None)


def set_clock(dsn: Dsn, at: str) -> None:
    """Say what time it is."""
    with connect(dsn, autocommit=True) as connection:
        connection.execute(_CLOCK, (at,))


def build(dsn: Dsn, home: Path, folder: str, *options: str) -> float:
    """Build the marts of `models/marts/FOLDER`, and what they are made of, without their tests.

    Returns:
        Seconds from when the first mart was begun until the last was there.
    """
    from dbt.cli.main import dbtRunner

    os.environ.update(modelling.environment(dsn, Settings(home=home)))
    outcome: Any = dbtRunner().invoke(
        ["run", "--quiet", "--select", f"+path:models/marts/{folder}", *options]
    )
    if not outcome.success:
        raise SystemExit(f"dbt failed: {outcome.exception or [r.message for r in outcome.result]}")
    spans = [
        timing
        for result in outcome.result
        if folder in result.node.fqn
        for timing in result.timing
        if timing.name == "execute"
    ]
    first, last = min(s.started_at for s in spans), max(s.completed_at for s in spans)
    return float((last - first).total_seconds())
