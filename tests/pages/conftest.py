"""A database with published figures, the site built from it, and a browser to look at it."""

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from omniledger import site
from omniledger.database import Dsn, connect
from tests.conftest import Server, ask

PUBLISHED = Path(__file__).parent / "published.sql"

MART = "model.omniledger.fct_daily_usage"

Published = Callable[..., Dsn]

LARGE = """
update analytics.fct_daily_usage
set cost_recomputed_usd = cost_recomputed_usd + 9007199254.740993, tokens_input = 9007199254740993
where user_id = 1 and usage_date = '2026-02-11'
"""
"""Figures that a float, or a script's own number, would round."""


@pytest.fixture(scope="session")
def published_template(server: Server) -> Dsn:
    dsn = server.state("empty:upgraded")
    with connect(dsn) as connection:
        connection.execute(PUBLISHED.read_bytes())
    return dsn


@pytest.fixture
def published(server: Server, published_template: Dsn) -> Published:
    """Makes a database with published figures; statements given change it."""

    def make(*statements: str) -> Dsn:
        dsn = server.new(published_template.dbname)
        with connect(dsn) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return dsn

    return make


@contextmanager
def serving(site_dir: Path) -> Iterator[site.SiteServer]:
    """The site's own server, in a thread."""
    with site.open_server(site_dir, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def built_and_served(dsn: Dsn, folder: Path, **options: Any) -> Iterator[site.SiteServer]:
    """The site built of a database's figures into a folder, and served from there."""
    with connect(dsn) as connection:
        site.build(connection, folder, **options)
    with serving(folder) as site_server:
        yield site_server


@pytest.fixture(scope="session")
def large(
    published_template: Dsn, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[site.SiteServer, Dsn]]:
    """A page with figures that need big integers, served, and the database that it is of."""
    folder = tmp_path_factory.mktemp("filtered")
    dsn = server.new(published_template.dbname)
    ask(dsn, LARGE)
    with built_and_served(dsn, folder) as site_server:
        yield site_server, dsn


def exposures() -> dict[str, Any]:
    """The project's exposures as dbt's page has them, of no model."""
    about = {"resource_type": "exposure", "package_name": "omniledger", "depends_on": {"nodes": []}}
    stated = yaml.safe_load(Path("models", "exposures.yml").read_text(encoding="utf-8"))
    return {
        f"exposure.omniledger.{one['name']}": {
            **one, **about, "unique_id": f"exposure.omniledger.{one['name']}",
            "original_file_path": "models/exposures.yml", "refs": [], "sources": [], "tags": [],
            "fqn": ["omniledger", one["name"]], "meta": {},
        }
        for one in stated["exposures"]
    }  # fmt: skip


def dbt_page(folder: Path) -> Path:
    """dbt's static page as `dbt docs generate --static` writes it, of a project with one mart."""
    [package] = importlib.util.find_spec("dbt").submodule_search_locations  # type: ignore[union-attr,misc]
    page = (Path(package) / "task" / "docs" / "index.html").read_text(encoding="utf-8")
    empty = ("nodes", "sources", "macros", "exposures", "metrics", "groups", "semantic_models")
    maps = ("saved_queries", "unit_tests", "functions", "parent_map", "child_map", "selectors")
    overview = {"name": "__overview__", "package_name": "dbt", "block_contents": "# Welcome"}
    described = {f"before_{n}": "One of those before it." for n in range(30)}
    described["requests"] = "Requests to a model."
    columns = {
        name: {"name": name, "description": words, "data_type": "bigint"}
        for name, words in described.items()
    }
    mart: dict[str, Any] = {
        "resource_type": "model", "name": "fct_daily_usage", "package_name": "omniledger",
        "unique_id": MART, "fqn": ["omniledger", "marts", "fct_daily_usage"], "raw_code": "select",
        "database": "omniledger", "schema": "analytics_build", "alias": "fct_daily_usage",
        "path": "fct_daily_usage.sql", "original_file_path": "models/fct_daily_usage.sql",
        "description": "One row for each day.", "columns": columns, "tags": ["mart"],
        "meta": {}, "docs": {"show": True}, "config": {"materialized": "incremental"},
        "refs": [], "sources": [], "metrics": [], "depends_on": {"macros": [], "nodes": []},
        "language": "sql", "version": None, "contract": {"enforced": True}, "access": "protected",
    }  # fmt: skip
    manifest: dict[str, Any] = {
        "metadata": {"project_name": "omniledger"},
        "docs": {"doc.dbt.__overview__": overview},
        **{name: {} for name in empty + maps},
    }
    manifest |= {"nodes": {MART: mart}, "exposures": exposures()}
    manifest |= {
        of: {name: [] for name in (MART, *exposures())} for of in ("parent_map", "child_map")
    }
    page = page.replace('"MANIFEST.JSON INLINE DATA"', json.dumps(manifest))
    places = enumerate(columns, 1)
    found = {
        "unique_id": MART, "stats": {},
        "metadata": {"type": "BASE TABLE", "schema": "analytics_build", "name": "fct_daily_usage"},
        "columns": {name: {"name": name, "type": "bigint", "index": n} for n, name in places},
    }  # fmt: skip
    catalog = {"nodes": {MART: found}, "sources": {}}
    page = page.replace('"CATALOG.JSON INLINE DATA"', json.dumps(catalog))
    path = folder / "static_index.html"
    path.write_text(page, encoding="utf-8")
    return path
