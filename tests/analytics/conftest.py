"""A source on one server, and an analytics server on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from omniledger.analytics import attaching
from omniledger.analytics.copying import Copied, copy_changes
from omniledger.database import Dsn, connect, session
from omniledger.settings import Settings
from tests.conftest import Server, ask, started
from tests.models.conftest import Dbt

_MARTS = """
select relname
from pg_class
where
    relnamespace = to_regnamespace('analytics_build')
    and relkind in ('r', 'v')
    -- the copy has its own notes of what left
    and relname not in ('build_inputs', 'stg_deleted_days')
order by 1
"""


@dataclass
class Pair:
    """A source and its analytics server, and dbt, for which both go by one name."""

    source: Dsn
    analytics: Dsn
    elsewhere: Server
    dbt: Dbt

    def attach(self, source: Dsn | None = None) -> attaching.Attached:
        return attaching.attach(self.analytics, source or self.source, self.dbt.settings)

    def copy(self) -> Copied:
        with session(self.analytics) as connection:
            return copy_changes(connection, self.dbt.settings)

    def at_source(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return ask(self.source, statement, *values)

    def here(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return ask(self.analytics, statement, *values)

    def assert_same_log(self) -> None:
        """The copies hold what the source holds, change_xid apart."""
        for log in ("audit_logs", "mcp_health_log"):
            [(columns,)] = self.here(
                "select string_agg(format('%%I', attname), ', ') from pg_attribute"
                " where attrelid = to_regclass(%s) and attnum > 0 and attname <> 'change_xid'",
                f"source.{log}",
            )
            query = f"select {columns} from omni2.{log} order by id"
            assert self.here(query) == self.at_source(query)

    def assert_same_figures(self) -> None:
        marts = [name for (name,) in self.at_source(_MARTS)]
        assert "fct_daily_usage" in marts and "contract_audit_log" in marts
        for mart in marts:
            here, there = rows(self.analytics, mart), rows(self.source, mart)
            assert here == there, mart


def rows(dsn: Dsn, mart: str) -> list[str]:
    """The rows as JSON, without who built them."""
    query = (
        "select (to_jsonb(m) - '{built_at,built_xmin,change_xid}'::text[])::text"
        f" from analytics_build.{mart} as m order by 1"
    )
    return [row for (row,) in ask(dsn, query)]


@pytest.fixture(scope="session")
def elsewhere_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the second server's data are, and its log."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="session")
def elsewhere(elsewhere_root: Path) -> Iterator[Server]:
    """A second server, that gives its databases other names than the first: `pair` uses those."""
    with started(elsewhere_root, None) as server:
        server.numbers = count(10_000)
        yield server


@pytest.fixture(scope="module")
def pair(server: Server, elsewhere: Server, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Attached, and never copied yet."""
    source = server.state("empty:upgraded")
    with connect(source) as connection:
        connection.execute((Path(__file__).parent / "source.sql").read_text().encode())
    analytics = replace(elsewhere.dsn, dbname=source.dbname)
    with connect(elsewhere.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(analytics.dbname)))
    ask(analytics, "create publication everything for all tables")
    dbt = Dbt(Settings(home=tmp_path_factory.mktemp("analytics")))
    dbt(source, "parse")
    pair = Pair(source, analytics, elsewhere, dbt)
    pair.attach()
    return pair
