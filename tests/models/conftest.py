"""Marts that are built by dbt itself, on databases of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from omniledger import modelling
from omniledger.database import Dsn, connect
from omniledger.settings import Settings
from tests.conftest import Server, ask

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

USAGE, TOOLS, HEALTH = "fct_daily_usage", "fct_daily_tool_usage", "fct_daily_health"
QUOTA, FOCUS = "fct_daily_quota", "fct_focus"
SERVERS = "fct_daily_mcp_cost"
HOURS, INCIDENTS = "fct_hourly_health", "fct_incidents"
LEARNT = "int_health_learnt"
MARTS = (USAGE, QUOTA, TOOLS, SERVERS, HEALTH, HOURS, FOCUS)
"""The marts that are built day by day."""
PRICED = (USAGE, SERVERS, FOCUS)
"""Those of them that hang on prices and on which model is meant."""
DAY = {
    **dict.fromkeys((USAGE, QUOTA, TOOLS, SERVERS, FOCUS), "usage_date"),
    **dict.fromkeys((HEALTH, HOURS), "health_date"),
    INCIDENTS: "opened_date",
}

AS_OF = "2026-03-06 00:00:00+00"
"""When the clock of these databases stands."""


class DbtFailed(Exception):
    """What a failed call of dbt said."""


@dataclass
class Dbt:
    """dbt with its project parsed once."""

    settings: Settings
    manifest: Manifest | None = None
    messages: list[str] = field(default_factory=list)

    def __call__(self, dsn: Dsn, *arguments: str, **environment: str) -> list[Any]:
        """The results of one call; what it said is in `messages`."""
        from dbt.cli.main import dbtRunner

        self.messages.clear()
        hear = [lambda event: self.messages.append(event.info.msg)]
        with _environ({**modelling.environment(dsn, self.settings), **environment}):
            runner = dbtRunner(manifest=self.manifest, callbacks=hear)
            # In a thread of its own: dbt inspects the whole stack many times, and pytest's is deep.
            with ThreadPoolExecutor(1) as alone:
                # A log file takes an eighth of the time, and `messages` has all of it.
                options = ("--quiet", "--no-write-json", "--log-level-file", "none")
                outcome = alone.submit(runner.invoke, [*arguments, *options]).result()
        result: Any = outcome.result
        if not outcome.success:
            raise DbtFailed(outcome.exception or [r.message for r in result])
        if arguments[0] == "parse":
            self.manifest = result
            return []
        return list(result)


@contextmanager
def _environ(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class Marts:
    """A database with marts that are built day by day, and what they would be if built anew."""

    dsn: Dsn
    dbt: Dbt
    anew: dict[str, str]

    def run(self, *marts: str, **settings: str) -> str:
        """Build the marts, and return what dbt said of it.

        Views are as they were, but where a setting is said, which is in them, too.
        """
        return self._run(marts, (), settings)

    def run_in_full(self, *marts: str, **settings: str) -> str:
        """Build the marts as if they had never been."""
        return self._run(marts, ("--full-refresh",), settings)

    def _run(
        self, marts: tuple[str, ...], options: tuple[str, ...], settings: dict[str, str]
    ) -> str:
        upstream = "+" if settings else ""
        names = (*(marts or MARTS), "dim_mcp_servers")
        if HEALTH in names:
            names = (*names, LEARNT, HOURS, INCIDENTS)
        select = ("--select", *(upstream + name for name in names))
        environment = {f"OMNILEDGER_{name.upper()}": value for name, value in settings.items()}
        self.dbt(self.dsn, "run", *select, *options, **environment)
        return "\n".join(self.dbt.messages)

    def rows(self, mart: str) -> list[tuple[Any, ...]]:
        """All rows, with who built them."""
        return ask(self.dsn, f"select m.* from analytics_build.{mart} as m order by 1, 2")

    def figures(self, mart: str) -> list[dict[str, Any]]:
        """All rows without who built them."""
        return _figures(self.dsn, f"select m.* from analytics_build.{mart} as m order by 1, 2")

    def figures_anew(self, mart: str) -> list[dict[str, Any]]:
        """What the rows would be if the mart were built anew."""
        return _figures(self.dsn, f"select m.* from ({self.anew[mart]}) as m order by 1, 2")

    def built(self, mart: str) -> dict[date, Any]:
        """When each day was built."""
        day = DAY[mart]
        return dict(
            ask(self.dsn, f"select {day}, max(built_at) from analytics_build.{mart} group by 1")
        )

    @contextmanager
    def changing(self, mart: str, *days: str) -> Iterator[None]:
        """Exactly these days of the mart are built again by what is done meanwhile."""
        before = self.built(mart)
        yield
        after = self.built(mart)
        changed = {day for day in before | after if before.get(day) != after.get(day)}
        assert changed == {date.fromisoformat(day) for day in days}

    def assert_as_if_built_anew(self) -> None:
        for mart in (*MARTS, LEARNT, INCIDENTS):
            assert self.figures(mart) == self.figures_anew(mart)
        assert ask(self.dsn, _CONTROL) == []


_CONTROL = """
with daily as (
    select
        usage_date, sum(requests), sum(errors), sum(blocked), sum(tool_calls),
        sum(tokens_input), sum(tokens_output), sum(tokens_cached),
        sum(tokens_cache_write), sum(tokens_total), sum(cost_recorded_usd)
    from analytics_build.fct_daily_usage
    group by usage_date
),

control as (
    select
        usage_date, requests, errors, blocked, tool_calls,
        tokens_input, tokens_output, tokens_cached,
        tokens_cache_write, tokens_total, cost_recorded_usd
    from analytics_build.control_totals
)

(select * from daily except select * from control)
union all
(select * from control except select * from daily)
"""


def _figures(dsn: Dsn, query: str) -> list[dict[str, Any]]:
    with connect(dsn) as connection:
        cursor = connection.execute(query.encode())
        names = [column.name for column in cursor.description or ()]
        return [
            {n: v for n, v in zip(names, row, strict=True) if not n.startswith("built_")}
            for row in cursor
        ]


@dataclass(frozen=True)
class Prepared:
    """A database whose marts are built, dbt, and the SQL that builds the marts anew.

    dbt writes a database's name into what it has parsed: so tests have it one after the other,
    and each gets it in the state that it asks for.
    """

    server: Server
    dsn: Dsn
    dbt: Dbt
    anew: dict[str, str]
    states: dict[str, str] = field(default_factory=dict)

    def keep(self, state: str) -> None:
        """Remember the database as it is."""
        self.states[state] = self.server.new(self.dsn.dbname).dbname

    def restore(self, state: str) -> Marts:
        """The database as it was kept."""
        name = self.dsn.dbname
        with connect(self.server.dsn, autocommit=True) as connection:
            drop = sql.SQL("drop database {} with (force)")
            connection.execute(drop.format(sql.Identifier(name)))
            self.server.copy(connection, self.states[state], name)
        return Marts(self.dsn, self.dbt, self.anew)

    def in_state(self, state: str, fill: Callable[[Marts], None]) -> Marts:
        """The database with marts that are built of what `fill` writes."""
        if state not in self.states:
            marts = self.restore("empty")
            fill(marts)
            marts.run()
            self.keep(state)
            return marts
        return self.restore(state)


@pytest.fixture(scope="session")
def prepared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    dsn = server.state("empty:upgraded")
    ask(dsn, "insert into ledger.settings values ('as_of', %s)", AS_OF)
    dbt = Dbt(Settings(home=tmp_path_factory.mktemp("state")))
    dbt(dsn, "parse")
    code = {result.node.name: result.node.compiled_code for result in dbt(dsn, "run")}
    prepared = Prepared(
        server, dsn, dbt, {mart: code[mart] for mart in (*MARTS, LEARNT, INCIDENTS)}
    )
    prepared.keep("empty")
    return prepared


@pytest.fixture
def marts(prepared: Prepared) -> Marts:
    return prepared.restore("empty")


def request_at(marts: Marts, at: str, **values: object) -> int:
    """Write a chat request and return its id; every column can be said."""
    row = {"timestamp": at, "question": "?", "success": True, **values}
    return _insert(marts.dsn, "omni2.audit_logs", row)


def event_at(
    marts: Marts, at: str, status: str = "healthy", server: int = 1, **values: object
) -> int:
    """Write an event of the health log and return its id."""
    known = "insert into omni2.mcp_servers (id, name) values (%s, %s) on conflict do nothing"
    ask(marts.dsn, known, server, f"server {server}")
    row = {"timestamp": at, "status": status, "mcp_server_id": server, **values}
    return _insert(marts.dsn, "omni2.mcp_health_log", row)


def _insert(dsn: Dsn, table: str, values: dict[str, object]) -> int:
    columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
    insert = f"insert into {table} ({columns}) values ({places}) returning id"
    [(number,)] = ask(dsn, insert, *values.values())
    return int(number)
