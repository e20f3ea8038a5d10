"""The project as dbt takes it: without a warning, without a database, with tables missing."""

from __future__ import annotations

import re
from dataclasses import replace

from omniledger.report.rendering import TEMPLATES
from tests.conftest import ask
from tests.models.conftest import Prepared


def test_the_project_parses_without_a_database_or_a_warning(
    prepared: Prepared,
) -> None:
    nowhere = replace(prepared.dsn, host="192.0.2.1", port=9)
    prepared.dbt(nowhere, "parse", "--no-partial-parse")
    assert [line for line in prepared.dbt.messages if "[WARNING]" in line] == []


def test_missing_tables_and_columns_of_the_gateway_are_empty(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "drop table auth_service.users, auth_service.roles cascade;"
        "create table auth_service.users (id integer, email text);"
        "insert into auth_service.users values (1, 'a@example.org')",
    )
    prepared.dbt(dsn, "run", "--select", "stg_users+", "stg_roles+")
    assert ask(
        dsn, "select user_id, display_name, role_name, is_active from analytics_build.dim_users"
    ) == [(1, "a@example.org", None, None)]


def test_a_view_that_had_other_columns_is_replaced(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "drop view analytics_build.stg_roles cascade;"
        "create view analytics_build.stg_roles as select 1 as other",
    )
    prepared.dbt(dsn, "run", "--select", "stg_roles+")
    assert ask(dsn, "select * from analytics_build.stg_roles") == []


def test_every_model_is_described_to_the_last_column(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    for node in prepared.dbt.manifest.nodes.values():
        if node.unique_id.startswith("model."):
            assert node.description.startswith("One row"), node.name
            columns = ask(
                prepared.dsn,
                "select attname::text from pg_attribute where attrelid = to_regclass(%s)"
                " and attnum > 0 and not attisdropped order by attnum",
                f"analytics_build.{node.name}",
            )
            assert [(name,) for name in node.columns] == columns
            assert all(column.description for column in node.columns.values())


def test_every_figure_of_the_report_is_a_column_that_is_described(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    written = "\n".join(path.read_text() for path in TEMPLATES.rglob("*.j2"))
    terms = set(re.findall(r'term\("[^"]*", "(\w+)", "(\w+)"\)', written))
    described = {
        (node.name, name)
        for node in prepared.dbt.manifest.nodes.values()
        for name, column in node.columns.items()
        if column.description
    }
    assert len(terms) > 40
    assert terms - described == set()
